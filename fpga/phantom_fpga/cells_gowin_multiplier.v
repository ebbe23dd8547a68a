// Behaviour of the Gowin multipliers that Yosys declares without a body, for netlist simulation:
// MULT9X9 and MULT18X18 (Gowin, "DSP User Guide", UG287), without their registers.

module MULT9X9 (
    input  [8:0] A, SIA, B, SIB,
    input  ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [17:0] DOUT,
    output [8:0] SOA, SOB
);
    parameter AREG = 1'b0;
    parameter BREG = 1'b0;
    parameter OUT_REG = 1'b0;
    parameter PIPE_REG = 1'b0;
    parameter ASIGN_REG = 1'b0;
    parameter BSIGN_REG = 1'b0;
    parameter SOA_REG = 1'b0;
    parameter MULT_RESET_MODE = "SYNC";

    wire signed [9:0] a = {ASIGN & A[8], A};
    wire signed [9:0] b = {BSIGN & B[8], B};
    wire signed [19:0] product = a * b;
    assign DOUT = product[17:0];
    assign SOA = A;
    assign SOB = B;
    generate
        if (AREG || BREG || OUT_REG || PIPE_REG) multiplier_register_not_modelled unknown ();
    endgenerate
endmodule

module MULT18X18 (
    input  [17:0] A, SIA, B, SIB,
    input  ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [35:0] DOUT,
    output [17:0] SOA, SOB
);
    parameter AREG = 1'b0;
    parameter BREG = 1'b0;
    parameter OUT_REG = 1'b0;
    parameter PIPE_REG = 1'b0;
    parameter ASIGN_REG = 1'b0;
    parameter BSIGN_REG = 1'b0;
    parameter SOA_REG = 1'b0;
    parameter MULT_RESET_MODE = "SYNC";

    wire signed [18:0] a = {ASIGN & A[17], A};
    wire signed [18:0] b = {BSIGN & B[17], B};
    wire signed [37:0] product = a * b;
    assign DOUT = product[35:0];
    assign SOA = A;
    assign SOB = B;
    generate
        if (AREG || BREG || OUT_REG || PIPE_REG) multiplier_register_not_modelled unknown ();
    endgenerate
endmodule
