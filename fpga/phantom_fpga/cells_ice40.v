// Pads of the iCE40 for netlist simulation: the unregistered pin types that the self-test uses
// (Lattice, "iCE40 Technology Library", SB_IO and SB_GB_IO). All other cells come from Yosys.

module SB_IO (
    inout  PACKAGE_PIN,
    input  LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
    output D_IN_0, D_IN_1
);
    parameter [5:0] PIN_TYPE = 6'b000000;
    parameter [0:0] PULLUP = 1'b0;
    parameter [0:0] NEG_TRIGGER = 1'b0;
    parameter IO_STANDARD = "SB_LVCMOS";

    assign D_IN_0 = PACKAGE_PIN;
    assign D_IN_1 = 1'b0;
    generate
        if (PIN_TYPE[5:2] == 4'b0110) assign PACKAGE_PIN = D_OUT_0;
        if (PIN_TYPE[5:2] == 4'b1010) assign PACKAGE_PIN = OUTPUT_ENABLE ? D_OUT_0 : 1'bz;
        if (PIN_TYPE[1:0] != 2'b01) pin_type_not_modelled unknown_input ();
        if (PIN_TYPE[5:2] != 4'b0110 && PIN_TYPE[5:2] != 4'b1010 && PIN_TYPE[5:2] != 4'b0000)
            pin_type_not_modelled unknown_output ();
    endgenerate
endmodule

module SB_GB_IO (
    inout  PACKAGE_PIN,
    output GLOBAL_BUFFER_OUTPUT,
    input  LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
    output D_IN_0, D_IN_1
);
    parameter [5:0] PIN_TYPE = 6'b000000;
    parameter [0:0] PULLUP = 1'b0;
    parameter [0:0] NEG_TRIGGER = 1'b0;
    parameter IO_STANDARD = "SB_LVCMOS";

    assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
    assign D_IN_0 = PACKAGE_PIN;
    assign D_IN_1 = 1'b0;
    generate
        if (PIN_TYPE != 6'b000001) pin_type_not_modelled unknown ();
    endgenerate
endmodule
