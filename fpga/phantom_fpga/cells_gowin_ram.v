// Behaviour of the Gowin block RAMs that Yosys declares without a body, for netlist simulation.
//
// SDPB, SDPX9B, SP, SPX9: 16 Kbit block RAM (Gowin, "BSRAM & SSRAM User Guide", UG285), semi-dual and single
// port, without the output register. It holds 2048 bytes of 8 (X9: 9) bits; widths 1, 2 and 4 use part of a
// byte. A read in the cycle of a write to the same byte through the other port gives the complement of the
// old byte, so that a design that relies on it fails.

`include "cells_gowin_init.vh"

// One port's view of a row of four bytes: which of them an address touches, and how data lie in them.
module gowin_ram_lanes #(parameter BYTE = 8, parameter WIDTH = 8) (
    input  [13:0] address,
    input  [4*BYTE-1:0] data,
    input  [4*BYTE-1:0] row,
    output [8:0] line,
    output [4*BYTE-1:0] mask,
    output [4*BYTE-1:0] moved,
    output [4*BYTE-1:0] picked
);
    localparam BYTES = WIDTH / BYTE;
    wire [31:0] shift = BYTES == 4 ? 32'd0 : BYTES == 2 ? BYTE * {address[4], 1'b0}
        : BYTES == 1 ? BYTE * address[4:3] : BYTE * address[4:3] + (address[2:0] & ~(WIDTH - 1));
    wire [3:0] enable = BYTES == 4 ? address[3:0] : BYTES == 2 ? {2'b00, address[1:0]} : 4'b0001;
    wire [4*BYTE-1:0] lanes = {{BYTE{enable[3]}}, {BYTE{enable[2]}}, {BYTE{enable[1]}}, {BYTE{enable[0]}}};
    wire [4*BYTE-1:0] wide = {4*BYTE{1'b1}} >> (4 * BYTE - WIDTH);
    assign line = address[13:5];
    assign mask = (lanes & wide) << shift;
    assign moved = data << shift;
    assign picked = (row >> shift) & wide;
endmodule

module gowin_semi_dual_ram #(
    parameter BYTE = 8, parameter WRITE_WIDTH = 8, parameter READ_WIDTH = 8, parameter [2048*BYTE-1:0] INIT = 0
) (
    input  write_clock, write,
    input  [13:0] write_address,
    input  [4*BYTE-1:0] write_data,
    input  read_clock, read, reset,
    input  [13:0] read_address,
    output reg [4*BYTE-1:0] q
);
    reg [4*BYTE-1:0] rows [0:511];
    integer index;
    initial begin
        for (index = 0; index < 512; index = index + 1) rows[index] = INIT[4 * BYTE * index +: 4 * BYTE];
        q = 0;
    end
    wire [8:0] write_line, read_line;
    wire [4*BYTE-1:0] mask, moved, picked, unused_picked, unused_mask, unused_moved;
    wire [4*BYTE-1:0] clash = write && write_line == read_line ? mask : {4*BYTE{1'b0}};
    gowin_ram_lanes #(.BYTE(BYTE), .WIDTH(WRITE_WIDTH)) writer (
        .address(write_address), .data(write_data), .row({4*BYTE{1'b0}}), .line(write_line), .mask(mask),
        .moved(moved), .picked(unused_picked));
    gowin_ram_lanes #(.BYTE(BYTE), .WIDTH(READ_WIDTH)) reader (
        .address(read_address), .data({4*BYTE{1'b0}}), .row(rows[read_line] ^ clash), .line(read_line),
        .mask(unused_mask), .moved(unused_moved), .picked(picked));
    always @(posedge write_clock) if (write) rows[write_line] <= rows[write_line] & ~mask | moved & mask;
    always @(posedge read_clock) if (reset) q <= 0; else if (read) q <= picked;
endmodule

module gowin_single_ram #(
    parameter BYTE = 8, parameter WIDTH = 8, parameter [1:0] WRITE_MODE = 0, parameter [2048*BYTE-1:0] INIT = 0
) (
    input  clock, enable, write, reset,
    input  [13:0] address,
    input  [4*BYTE-1:0] data,
    output reg [4*BYTE-1:0] q
);
    reg [4*BYTE-1:0] rows [0:511];
    integer index;
    initial begin
        for (index = 0; index < 512; index = index + 1) rows[index] = INIT[4 * BYTE * index +: 4 * BYTE];
        q = 0;
    end
    wire [8:0] line;
    wire [4*BYTE-1:0] mask, moved, picked;
    wire [4*BYTE-1:0] changed = rows[line] & ~mask | moved & mask;
    gowin_ram_lanes #(.BYTE(BYTE), .WIDTH(WIDTH)) lanes (
        .address(address), .data(data), .row(write && WRITE_MODE == 2'd1 ? changed : rows[line]), .line(line),
        .mask(mask), .moved(moved), .picked(picked));
    always @(posedge clock) begin
        if (enable && write) rows[line] <= changed;
        if (reset) q <= 0; else if (enable && !(write && WRITE_MODE == 2'd0)) q <= picked;
    end
endmodule

module SDPB (
    output [31:0] DO,
    input  [31:0] DI,
    input  [13:0] ADA, ADB,
    input  [2:0] BLKSELA, BLKSELB,
    input  CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE
);
    parameter READ_MODE = 1'b0;
    parameter BIT_WIDTH_0 = 32;
    parameter BIT_WIDTH_1 = 32;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(256)
    wire [31:0] q;
    gowin_semi_dual_ram #(.BYTE(8), .WRITE_WIDTH(BIT_WIDTH_0), .READ_WIDTH(BIT_WIDTH_1), .INIT(INIT)) ram (
        .write_clock(CLKA), .write(CEA), .write_address(ADA), .write_data(DI), .read_clock(CLKB), .read(CEB),
        .reset(RESETB), .read_address(ADB), .q(q));
    // an asynchronous reset acts before the clock edge, too
    assign DO = RESET_MODE == "ASYNC" && RESETB ? 0 : q;
    generate
        if (READ_MODE != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule

module SDPX9B (
    output [35:0] DO,
    input  [35:0] DI,
    input  [13:0] ADA, ADB,
    input  [2:0] BLKSELA, BLKSELB,
    input  CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE
);
    parameter READ_MODE = 1'b0;
    parameter BIT_WIDTH_0 = 36;
    parameter BIT_WIDTH_1 = 36;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(288)
    wire [35:0] q;
    gowin_semi_dual_ram #(.BYTE(9), .WRITE_WIDTH(BIT_WIDTH_0), .READ_WIDTH(BIT_WIDTH_1), .INIT(INIT)) ram (
        .write_clock(CLKA), .write(CEA), .write_address(ADA), .write_data(DI), .read_clock(CLKB), .read(CEB),
        .reset(RESETB), .read_address(ADB), .q(q));
    // an asynchronous reset acts before the clock edge, too
    assign DO = RESET_MODE == "ASYNC" && RESETB ? 0 : q;
    generate
        if (READ_MODE != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule

module SP (
    output [31:0] DO,
    input  [31:0] DI,
    input  [13:0] AD,
    input  [2:0] BLKSEL,
    input  CLK, CE, WRE, RESET, OCE
);
    parameter READ_MODE = 1'b0;
    parameter [1:0] WRITE_MODE = 2'b00;
    parameter BIT_WIDTH = 32;
    parameter BLK_SEL = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(256)
    wire [31:0] q;
    gowin_single_ram #(.BYTE(8), .WIDTH(BIT_WIDTH), .WRITE_MODE(WRITE_MODE), .INIT(INIT)) ram (
        .clock(CLK), .enable(CE), .write(WRE), .reset(RESET), .address(AD), .data(DI), .q(q));
    // an asynchronous reset acts before the clock edge, too
    assign DO = RESET_MODE == "ASYNC" && RESET ? 0 : q;
    generate
        if (READ_MODE != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule

module SPX9 (
    output [35:0] DO,
    input  [35:0] DI,
    input  [13:0] AD,
    input  [2:0] BLKSEL,
    input  CLK, CE, WRE, RESET, OCE
);
    parameter READ_MODE = 1'b0;
    parameter [1:0] WRITE_MODE = 2'b00;
    parameter BIT_WIDTH = 36;
    parameter BLK_SEL = 3'b000;
    parameter RESET_MODE = "SYNC";
    `GOWIN_RAM_INIT(288)
    wire [35:0] q;
    gowin_single_ram #(.BYTE(9), .WIDTH(BIT_WIDTH), .WRITE_MODE(WRITE_MODE), .INIT(INIT)) ram (
        .clock(CLK), .enable(CE), .write(WRE), .reset(RESET), .address(AD), .data(DI), .q(q));
    // an asynchronous reset acts before the clock edge, too
    assign DO = RESET_MODE == "ASYNC" && RESET ? 0 : q;
    generate
        if (READ_MODE != 1'b0) ram_mode_not_modelled unknown ();
    endgenerate
endmodule
