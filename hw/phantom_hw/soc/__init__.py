"""The control plane: command set, CSR map, and the hardware of both. The descriptions import no Amaranth."""
