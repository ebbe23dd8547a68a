// Behaviour of the Gowin dual-port block RAMs that Yosys declares without a body, for netlist simulation:
// DPB and DPX9B (Gowin, "BSRAM & SSRAM User Guide", UG285), without the output registers. The module
// gowin_ram_lanes is with the other RAMs. A read in the cycle of a write to the same byte through the other
// port gives the complement of the old byte, so that a design that relies on it fails.

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
    parameter [255:0] INIT_RAM_00 = 256'h0, INIT_RAM_01 = 256'h0, INIT_RAM_02 = 256'h0, INIT_RAM_03 = 256'h0;
    parameter [255:0] INIT_RAM_04 = 256'h0, INIT_RAM_05 = 256'h0, INIT_RAM_06 = 256'h0, INIT_RAM_07 = 256'h0;
    parameter [255:0] INIT_RAM_08 = 256'h0, INIT_RAM_09 = 256'h0, INIT_RAM_0A = 256'h0, INIT_RAM_0B = 256'h0;
    parameter [255:0] INIT_RAM_0C = 256'h0, INIT_RAM_0D = 256'h0, INIT_RAM_0E = 256'h0, INIT_RAM_0F = 256'h0;
    parameter [255:0] INIT_RAM_10 = 256'h0, INIT_RAM_11 = 256'h0, INIT_RAM_12 = 256'h0, INIT_RAM_13 = 256'h0;
    parameter [255:0] INIT_RAM_14 = 256'h0, INIT_RAM_15 = 256'h0, INIT_RAM_16 = 256'h0, INIT_RAM_17 = 256'h0;
    parameter [255:0] INIT_RAM_18 = 256'h0, INIT_RAM_19 = 256'h0, INIT_RAM_1A = 256'h0, INIT_RAM_1B = 256'h0;
    parameter [255:0] INIT_RAM_1C = 256'h0, INIT_RAM_1D = 256'h0, INIT_RAM_1E = 256'h0, INIT_RAM_1F = 256'h0;
    parameter [255:0] INIT_RAM_20 = 256'h0, INIT_RAM_21 = 256'h0, INIT_RAM_22 = 256'h0, INIT_RAM_23 = 256'h0;
    parameter [255:0] INIT_RAM_24 = 256'h0, INIT_RAM_25 = 256'h0, INIT_RAM_26 = 256'h0, INIT_RAM_27 = 256'h0;
    parameter [255:0] INIT_RAM_28 = 256'h0, INIT_RAM_29 = 256'h0, INIT_RAM_2A = 256'h0, INIT_RAM_2B = 256'h0;
    parameter [255:0] INIT_RAM_2C = 256'h0, INIT_RAM_2D = 256'h0, INIT_RAM_2E = 256'h0, INIT_RAM_2F = 256'h0;
    parameter [255:0] INIT_RAM_30 = 256'h0, INIT_RAM_31 = 256'h0, INIT_RAM_32 = 256'h0, INIT_RAM_33 = 256'h0;
    parameter [255:0] INIT_RAM_34 = 256'h0, INIT_RAM_35 = 256'h0, INIT_RAM_36 = 256'h0, INIT_RAM_37 = 256'h0;
    parameter [255:0] INIT_RAM_38 = 256'h0, INIT_RAM_39 = 256'h0, INIT_RAM_3A = 256'h0, INIT_RAM_3B = 256'h0;
    parameter [255:0] INIT_RAM_3C = 256'h0, INIT_RAM_3D = 256'h0, INIT_RAM_3E = 256'h0, INIT_RAM_3F = 256'h0;
    localparam [64*256-1:0] INIT = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
        INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
        INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
        INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
        INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
        INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
        INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00
    };
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
    parameter [287:0] INIT_RAM_00 = 288'h0, INIT_RAM_01 = 288'h0, INIT_RAM_02 = 288'h0, INIT_RAM_03 = 288'h0;
    parameter [287:0] INIT_RAM_04 = 288'h0, INIT_RAM_05 = 288'h0, INIT_RAM_06 = 288'h0, INIT_RAM_07 = 288'h0;
    parameter [287:0] INIT_RAM_08 = 288'h0, INIT_RAM_09 = 288'h0, INIT_RAM_0A = 288'h0, INIT_RAM_0B = 288'h0;
    parameter [287:0] INIT_RAM_0C = 288'h0, INIT_RAM_0D = 288'h0, INIT_RAM_0E = 288'h0, INIT_RAM_0F = 288'h0;
    parameter [287:0] INIT_RAM_10 = 288'h0, INIT_RAM_11 = 288'h0, INIT_RAM_12 = 288'h0, INIT_RAM_13 = 288'h0;
    parameter [287:0] INIT_RAM_14 = 288'h0, INIT_RAM_15 = 288'h0, INIT_RAM_16 = 288'h0, INIT_RAM_17 = 288'h0;
    parameter [287:0] INIT_RAM_18 = 288'h0, INIT_RAM_19 = 288'h0, INIT_RAM_1A = 288'h0, INIT_RAM_1B = 288'h0;
    parameter [287:0] INIT_RAM_1C = 288'h0, INIT_RAM_1D = 288'h0, INIT_RAM_1E = 288'h0, INIT_RAM_1F = 288'h0;
    parameter [287:0] INIT_RAM_20 = 288'h0, INIT_RAM_21 = 288'h0, INIT_RAM_22 = 288'h0, INIT_RAM_23 = 288'h0;
    parameter [287:0] INIT_RAM_24 = 288'h0, INIT_RAM_25 = 288'h0, INIT_RAM_26 = 288'h0, INIT_RAM_27 = 288'h0;
    parameter [287:0] INIT_RAM_28 = 288'h0, INIT_RAM_29 = 288'h0, INIT_RAM_2A = 288'h0, INIT_RAM_2B = 288'h0;
    parameter [287:0] INIT_RAM_2C = 288'h0, INIT_RAM_2D = 288'h0, INIT_RAM_2E = 288'h0, INIT_RAM_2F = 288'h0;
    parameter [287:0] INIT_RAM_30 = 288'h0, INIT_RAM_31 = 288'h0, INIT_RAM_32 = 288'h0, INIT_RAM_33 = 288'h0;
    parameter [287:0] INIT_RAM_34 = 288'h0, INIT_RAM_35 = 288'h0, INIT_RAM_36 = 288'h0, INIT_RAM_37 = 288'h0;
    parameter [287:0] INIT_RAM_38 = 288'h0, INIT_RAM_39 = 288'h0, INIT_RAM_3A = 288'h0, INIT_RAM_3B = 288'h0;
    parameter [287:0] INIT_RAM_3C = 288'h0, INIT_RAM_3D = 288'h0, INIT_RAM_3E = 288'h0, INIT_RAM_3F = 288'h0;
    localparam [64*288-1:0] INIT = {
        INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
        INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
        INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
        INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
        INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
        INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
        INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
        INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00
    };
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
