// Drives a generated core with beats from files, as fast as it takes them, and writes down its result beats.
`timescale 1ns/1ns
`include "phantom_parameters.vh"

module testbench;
  parameter MOVING = 1, STATIONARY = 1, TILES = 1, CYCLES = 100000;

  reg clk = 0, rst = 1;
  always #5 clk = ~clk;

  reg [`PHANTOM_LAYER_BITS-1:0] layer [0:0];
  reg [`PHANTOM_MOVING_BITS-1:0] moving [0:MOVING-1];
  reg [`PHANTOM_STATIONARY_BITS-1:0] stationary [0:STATIONARY-1];
  reg layer_valid = 0, started = 0;
  integer moving_sent = 0, stationary_sent = 0, tiles = 0, cycle = 0, results;
  wire layer_ready, moving_ready, stationary_ready, result_valid;
  wire [`PHANTOM_RESULT_BITS-1:0] result;
  wire moving_valid = started && moving_sent < MOVING;
  wire stationary_valid = started && stationary_sent < STATIONARY;

  phantom_core core (
    .clk(clk), .rst(rst),
    .layer__payload(layer[0]), .layer__valid(layer_valid), .layer__ready(layer_ready),
    .moving__payload(moving[moving_sent]), .moving__valid(moving_valid), .moving__ready(moving_ready),
    .stationary__payload(stationary[stationary_sent]), .stationary__valid(stationary_valid),
    .stationary__ready(stationary_ready),
    .result__payload(result), .result__valid(result_valid), .result__ready(1'b1),
    .idle(), .activity()
  );

  initial begin
    $readmemh("layer.hex", layer);
    $readmemh("moving.hex", moving);
    $readmemh("stationary.hex", stationary);
    results = $fopen("results.hex", "w");
    repeat (2) @(posedge clk);
    layer_valid <= 1;
    rst <= 0;
  end

  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (layer_valid && layer_ready) begin
      layer_valid <= 0;
      started <= 1;
    end
    if (moving_valid && moving_ready) moving_sent <= moving_sent + 1;
    if (stationary_valid && stationary_ready) stationary_sent <= stationary_sent + 1;
    if (started && result_valid) begin
      $fdisplay(results, "%h", result);
      if (result[`PHANTOM_RESULT_TILE_LAST_LSB]) tiles <= tiles + 1;
    end
    if (tiles == TILES || cycle == CYCLES) $finish;
  end
endmodule
