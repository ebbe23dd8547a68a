// Behaviour of the ECP5 cells that Yosys declares without a body, for netlist simulation,
// and of the pad TRELLIS_IO in a form that Verilator takes.
//
// DP16KD: 18 Kbit block RAM (Lattice, "ECP5 Memory Usage Guide"), with the widths, write modes and byte
// enables that Yosys maps to: no output registers, no chip selects, rising clock edges. It holds 1024 words
// of 18 bits, each two bytes of 9 bits; widths 1, 2 and 4 use eight bits of a byte. A read in the cycle of
// a write to the same word through the other port is undefined in the device: here it gives the complement
// of the old word, so that a design that relies on it fails.
//
// MULT18X18D: 18 x 18 bit multiplier (Lattice, "ECP5 sysDSP Usage Guide"), without its registers.

module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
        DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
        DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
        DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
        DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18;
    parameter DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG";
    parameter REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_A = "0b000";
    parameter CSDECODE_B = "0b000";
    parameter WRITEMODE_A = "NORMAL";
    parameter WRITEMODE_B = "NORMAL";
    parameter CLKAMUX = "CLKA";
    parameter CLKBMUX = "CLKB";
    parameter GSR = "ENABLED";
    parameter [319:0] INITVAL_00 = 320'h0, INITVAL_01 = 320'h0, INITVAL_02 = 320'h0, INITVAL_03 = 320'h0;
    parameter [319:0] INITVAL_04 = 320'h0, INITVAL_05 = 320'h0, INITVAL_06 = 320'h0, INITVAL_07 = 320'h0;
    parameter [319:0] INITVAL_08 = 320'h0, INITVAL_09 = 320'h0, INITVAL_0A = 320'h0, INITVAL_0B = 320'h0;
    parameter [319:0] INITVAL_0C = 320'h0, INITVAL_0D = 320'h0, INITVAL_0E = 320'h0, INITVAL_0F = 320'h0;
    parameter [319:0] INITVAL_10 = 320'h0, INITVAL_11 = 320'h0, INITVAL_12 = 320'h0, INITVAL_13 = 320'h0;
    parameter [319:0] INITVAL_14 = 320'h0, INITVAL_15 = 320'h0, INITVAL_16 = 320'h0, INITVAL_17 = 320'h0;
    parameter [319:0] INITVAL_18 = 320'h0, INITVAL_19 = 320'h0, INITVAL_1A = 320'h0, INITVAL_1B = 320'h0;
    parameter [319:0] INITVAL_1C = 320'h0, INITVAL_1D = 320'h0, INITVAL_1E = 320'h0, INITVAL_1F = 320'h0;
    parameter [319:0] INITVAL_20 = 320'h0, INITVAL_21 = 320'h0, INITVAL_22 = 320'h0, INITVAL_23 = 320'h0;
    parameter [319:0] INITVAL_24 = 320'h0, INITVAL_25 = 320'h0, INITVAL_26 = 320'h0, INITVAL_27 = 320'h0;
    parameter [319:0] INITVAL_28 = 320'h0, INITVAL_29 = 320'h0, INITVAL_2A = 320'h0, INITVAL_2B = 320'h0;
    parameter [319:0] INITVAL_2C = 320'h0, INITVAL_2D = 320'h0, INITVAL_2E = 320'h0, INITVAL_2F = 320'h0;
    parameter [319:0] INITVAL_30 = 320'h0, INITVAL_31 = 320'h0, INITVAL_32 = 320'h0, INITVAL_33 = 320'h0;
    parameter [319:0] INITVAL_34 = 320'h0, INITVAL_35 = 320'h0, INITVAL_36 = 320'h0, INITVAL_37 = 320'h0;
    parameter [319:0] INITVAL_38 = 320'h0, INITVAL_39 = 320'h0, INITVAL_3A = 320'h0, INITVAL_3B = 320'h0;
    parameter [319:0] INITVAL_3C = 320'h0, INITVAL_3D = 320'h0, INITVAL_3E = 320'h0, INITVAL_3F = 320'h0;
    wire [320*64-1:0] initial_words = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
        INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
        INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
        INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
        INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
        INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
        INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
        INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
    };
    wire [17:0] di_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
        DIA3, DIA2, DIA1, DIA0};
    wire [13:0] ad_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [17:0] di_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
        DIB3, DIB2, DIB1, DIB0};
    wire [13:0] ad_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};

    // widths of 36 use both data ports: port A writes, port B reads
    localparam PAIR_WRITE = DATA_WIDTH_A == 36;
    localparam PAIR_READ = DATA_WIDTH_B == 36;

    reg [17:0] words [0:1023];
    reg [17:0] q_a, q_b, q_pair;
    integer index;
    initial begin
        for (index = 0; index < 1024; index = index + 1) words[index] = initial_words[20 * index +: 18];
        q_a = 0;
        q_b = 0;
        q_pair = 0;
    end

    // the bits of a word that a write changes, and the data moved to their place
    function [17:0] enabled(input integer width, input [3:0] low);
        case (width)
            1: enabled = 18'h00001 << (9 * low[3] + low[2:0]);
            2: enabled = 18'h00003 << (9 * low[3] + {low[2:1], 1'b0});
            4: enabled = 18'h0000f << (9 * low[3] + {low[2], 2'b00});
            9: enabled = 18'h001ff << (9 * low[3]);
            default: enabled = {{9{low[1]}}, {9{low[0]}}};
        endcase
    endfunction
    function [17:0] placed(input integer width, input [3:0] low, input [17:0] value);
        case (width)
            1: placed = value << (9 * low[3] + low[2:0]);
            2: placed = value << (9 * low[3] + {low[2:1], 1'b0});
            4: placed = value << (9 * low[3] + {low[2], 2'b00});
            9: placed = value << (9 * low[3]);
            default: placed = value;
        endcase
    endfunction
    function [17:0] selected(input integer width, input [3:0] low, input [17:0] word);
        case (width)
            1: selected = word >> (9 * low[3] + low[2:0]);
            2: selected = word >> (9 * low[3] + {low[2:1], 1'b0});
            4: selected = word >> (9 * low[3] + {low[2], 2'b00});
            9: selected = word >> (9 * low[3]);
            default: selected = word;
        endcase
    endfunction
    function [17:0] kept(input integer width);
        kept = width >= 18 ? 18'h3ffff : (18'h1 << width) - 18'h1;
    endfunction

    // an asynchronous reset acts before the clock edge, too
    function [17:0] cleared(input reset);
        cleared = RESETMODE == "ASYNC" ? {18{reset}} : 18'h0;
    endfunction

    wire write_a = CEA & WEA & ~RSTA;
    wire write_b = CEB & WEB & ~RSTB & !PAIR_WRITE;
    wire [9:0] word_a = PAIR_WRITE ? {ad_a[13:5], 1'b0} : ad_a[13:4];
    wire [9:0] word_b = PAIR_READ ? {ad_b[13:5], 1'b0} : ad_b[13:4];
    wire [17:0] mask_a = write_a ? enabled(DATA_WIDTH_A, ad_a[3:0]) : 18'h0;
    wire [17:0] mask_b = write_b ? enabled(DATA_WIDTH_B, ad_b[3:0]) : 18'h0;
    wire [17:0] mask_pair = write_a && PAIR_WRITE ? {{9{ad_a[3]}}, {9{ad_a[2]}}} : 18'h0;
    wire [17:0] new_a = words[word_a] & ~mask_a | placed(DATA_WIDTH_A, ad_a[3:0], di_a) & mask_a;
    wire [17:0] new_b = words[word_b] & ~mask_b | placed(DATA_WIDTH_B, ad_b[3:0], di_b) & mask_b;
    wire clash_a = |mask_b && (word_a | PAIR_WRITE) == (word_b | PAIR_WRITE);
    wire clash_b = |{mask_a, mask_pair} && (PAIR_WRITE || PAIR_READ ? word_a[9:1] == word_b[9:1] : word_a == word_b);
    wire [17:0] read_a = WEA && WRITEMODE_A == "WRITETHROUGH" ? new_a : clash_a ? ~words[word_a] : words[word_a];
    wire [17:0] read_b = WEB && WRITEMODE_B == "WRITETHROUGH" ? new_b : clash_b ? ~words[word_b] : words[word_b];

    always @(posedge CLKA) begin
        if (RSTA) q_a <= 0;
        else if (CEA && !PAIR_READ && !(WEA && WRITEMODE_A == "NORMAL"))
            q_a <= selected(DATA_WIDTH_A, ad_a[3:0], read_a) & kept(DATA_WIDTH_A);
        if (|mask_a) words[word_a] <= new_a;
        if (|mask_pair) words[{word_a[9:1], 1'b1}] <= words[{word_a[9:1], 1'b1}] & ~mask_pair | di_b & mask_pair;
    end
    always @(posedge CLKB) begin
        if (RSTB) begin
            q_b <= 0;
            q_pair <= 0;
        end else if (CEB && !(WEB && WRITEMODE_B == "NORMAL")) begin
            q_b <= selected(DATA_WIDTH_B, ad_b[3:0], read_b) & kept(DATA_WIDTH_B);
            q_pair <= clash_b ? ~words[{word_b[9:1], 1'b1}] : words[{word_b[9:1], 1'b1}];
        end
        if (|mask_b) words[word_b] <= new_b;
    end

    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
        DOA1, DOA0} = (PAIR_READ ? q_b : q_a) & ~cleared(PAIR_READ ? RSTB : RSTA);
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
        DOB1, DOB0} = (PAIR_READ ? q_pair : q_b) & ~cleared(RSTB);
    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
            || CSDECODE_A != "0b000" || CSDECODE_B != "0b000")
            ram_mode_not_modelled unknown ();
    endgenerate
endmodule

module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
    input SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10, SRIA9, SRIA8, SRIA7, SRIA6, SRIA5, SRIA4,
        SRIA3, SRIA2, SRIA1, SRIA0,
    input SRIB17, SRIB16, SRIB15, SRIB14, SRIB13, SRIB12, SRIB11, SRIB10, SRIB9, SRIB8, SRIB7, SRIB6, SRIB5, SRIB4,
        SRIB3, SRIB2, SRIB1, SRIB0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
        P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    parameter REG_INPUTA_CLK = "NONE";
    parameter REG_INPUTA_CE = "CE0";
    parameter REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE";
    parameter REG_INPUTB_CE = "CE0";
    parameter REG_INPUTB_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE";
    parameter REG_PIPELINE_CE = "CE0";
    parameter REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE";
    parameter REG_OUTPUT_CE = "CE0";
    parameter REG_OUTPUT_RST = "RST0";

    wire signed [18:0] a = {SIGNEDA & A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2,
        A1, A0};
    wire signed [18:0] b = {SIGNEDB & B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2,
        B1, B0};
    wire signed [37:0] product = a * b;
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
        P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];
    generate
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_PIPELINE_CLK != "NONE"
            || REG_OUTPUT_CLK != "NONE")
            multiplier_register_not_modelled unknown ();
    endgenerate
endmodule

module TRELLIS_IO (inout B, input I, input T, output O);
    parameter DIR = "INPUT";

    assign O = B;
    generate
        if (DIR == "OUTPUT") assign B = T ? 1'bz : I;
        else if (DIR != "INPUT") pad_mode_not_modelled unknown ();
    endgenerate
endmodule
