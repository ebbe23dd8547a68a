// Behaviour of the Gowin dual-port block RAMs that Yosys declares without a body, for netlist simulation:
// DPB and DPX9B (Gowin, "BSRAM & SSRAM User Guide", UG285), without the output registers. The module
// gowin_ram_lanes is with the other RAMs. A read in the cycle of a write to the same byte through the other
// port gives the complement of the old byte, so that a design that relies on it fails.

`include "cells_gowin_init.vh"

module gowin_dual_ram #(
    parameter BYTE = 8, parameter WIDTH_0 = 8, parameter WIDTH_1 = 8,
    parameter [1:0] WRITE_MODE_0 = 0, parameter [1:0] WRITE_MODE_1 = 0, parameter [2048*BYTE-1:0] INIT = 0
) (
    input  clock_0, enable_0, write_0, reset_0, clock_1, enable_1, write_1, reset_1,
    input  [13:0] address_0, address_1,
    input  [4*BYTE-1:0] data_0, data_1,
    output reg [4*BYTE-1:0] q_0, q_1
);
    reg [4*BYTE-1:0] rows [0:511];
    integer index;
    initial begin
        for (index = 0; index < 512; index = index + 1) rows[index] = INIT[4 * BYTE * index +: 4 * BYTE];
        q_0 = 0;
        q_1 = 0;
    end
    wire [8:0] line_0, line_1;
    wire [4*BYTE-1:0] mask_0, mask_1, moved_0, moved_1, picked_0, picked_1;
    wire [4*BYTE-1:0] changed_0 = rows[line_0] & ~mask_0 | moved_0 & mask_0;
    wire [4*BYTE-1:0] changed_1 = rows[line_1] & ~mask_1 | moved_1 & mask_1;
    wire same = line_0 == line_1;
    wire [4*BYTE-1:0] clash_0 = same && enable_1 && write_1 ? mask_1 : {4*BYTE{1'b0}};
    wire [4*BYTE-1:0] clash_1 = same && enable_0 && write_0 ? mask_0 : {4*BYTE{1'b0}};
    gowin_ram_lanes #(.BYTE(BYTE), .WIDTH(WIDTH_0)) lanes_0 (
        .address(address_0), .data(data_0), .line(line_0), .mask(mask_0), .moved(moved_0), .picked(picked_0),
        .row((write_0 && WRITE_MODE_0 == 2'd1 ? changed_0 : rows[line_0]) ^ clash_0));
    gowin_ram_lanes #(.BYTE(BYTE), .WIDTH(WIDTH_1)) lanes_1 (
        .address(address_1), .data(data_1), .line(line_1), .mask(mask_1), .moved(moved_1), .picked(picked_1),
        .row((write_1 && WRITE_MODE_1 == 2'd1 ? changed_1 : rows[line_1]) ^ clash_1));
    // a write changes the bytes that it names and nothing that the other port writes
    wire [4*BYTE-1:0] both = rows[line_0] & ~mask_0 & ~clash_0 | moved_0 & mask_0 | moved_1 & clash_0;
    always @(posedge clock_0) begin
        if (enable_0 && write_0) rows[line_0] <= both;
        if (reset_0) q_0 <= 0; else if (enable_0 && !(write_0 && WRITE_MODE_0 == 2'd0)) q_0 <= picked_0;
    end
    always @(posedge clock_1) begin
        if (enable_1 && write_1 && !(same && enable_0 && write_0)) rows[line_1] <= changed_1;
        if (reset_1) q_1 <= 0; else if (enable_1 && !(write_1 && WRITE_MODE_1 == 2'd0)) q_1 <= picked_1;
    end
endmodule

module DPB (
    output [15:0] DOA, DOB,
    input  [15:0] DIA, DIB,
    input  [13:0] ADA, ADB,
    input  [2:0] BLKSELA, BLKSELB,
    input  CLKA, CEA, WREA, OCEA, RESETA, CLKB, CEB, WREB, OCEB, RESETB
);
    parameter READ_MODE0 = 1'b0;
    parameter READ_MODE1 = 1'b0;
    parameter [1:0] WRITE_MODE0 = 2'b00;
    parameter [1:0] WRITE_MODE1 = 2'b00;
    parameter BIT_WIDTH_0 = 16;
    parameter BIT_WIDTH_1 = 16;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(256)
    wire [31:0] q_0, q_1;
    gowin_dual_ram #(
        .BYTE(8), .WIDTH_0(BIT_WIDTH_0), .WIDTH_1(BIT_WIDTH_1), .WRITE_MODE_0(WRITE_MODE0), .WRITE_MODE_1(WRITE_MODE1),
        .INIT(INIT)
    ) ram (
        .clock_0(CLKA), .enable_0(CEA), .write_0(WREA), .reset_0(RESETA), .address_0(ADA), .data_0({16'h0, DIA}),
        .clock_1(CLKB), .enable_1(CEB), .write_1(WREB), .reset_1(RESETB), .address_1(ADB), .data_1({16'h0, DIB}),
        .q_0(q_0), .q_1(q_1));
    // an asynchronous reset acts before the clock edge, too
    assign DOA = RESET_MODE == "ASYNC" && RESETA ? 0 : q_0[15:0];
    assign DOB = RESET_MODE == "ASYNC" && RESETB ? 0 : q_1[15:0];
    generate
        if (READ_MODE0 != 1'b0 || READ_MODE1 != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule

module DPX9B (
    output [17:0] DOA, DOB,
    input  [17:0] DIA, DIB,
    input  [13:0] ADA, ADB,
    input  [2:0] BLKSELA, BLKSELB,
    input  CLKA, CEA, WREA, OCEA, RESETA, CLKB, CEB, WREB, OCEB, RESETB
);
    parameter READ_MODE0 = 1'b0;
    parameter READ_MODE1 = 1'b0;
    parameter [1:0] WRITE_MODE0 = 2'b00;
    parameter [1:0] WRITE_MODE1 = 2'b00;
    parameter BIT_WIDTH_0 = 18;
    parameter BIT_WIDTH_1 = 18;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(288)
    wire [35:0] q_0, q_1;
    gowin_dual_ram #(
        .BYTE(9), .WIDTH_0(BIT_WIDTH_0), .WIDTH_1(BIT_WIDTH_1), .WRITE_MODE_0(WRITE_MODE0), .WRITE_MODE_1(WRITE_MODE1),
        .INIT(INIT)
    ) ram (
        .clock_0(CLKA), .enable_0(CEA), .write_0(WREA), .reset_0(RESETA), .address_0(ADA), .data_0({18'h0, DIA}),
        .clock_1(CLKB), .enable_1(CEB), .write_1(WREB), .reset_1(RESETB), .address_1(ADB), .data_1({18'h0, DIB}),
        .q_0(q_0), .q_1(q_1));
    // an asynchronous reset acts before the clock edge, too
    assign DOA = RESET_MODE == "ASYNC" && RESETA ? 0 : q_0[17:0];
    assign DOB = RESET_MODE == "ASYNC" && RESETB ? 0 : q_1[17:0];
    generate
        if (READ_MODE0 != 1'b0 || READ_MODE1 != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule
