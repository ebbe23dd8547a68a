// Clocks the netlist of a self-test until it says that it is done, then until the LEDs show it.
// Prints "done" or "running", the cycles, the checksum and the levels of the LED pins, both in hexadecimal.
// The only argument is the largest number of cycles.

#include <cstdio>
#include <cstdlib>

#include "Vnetlist_bench.h"
#include "verilated.h"

namespace {

void cycle(Vnetlist_bench& bench) {
    bench.clock = 0;
    bench.eval();
    bench.clock = 1;
    bench.eval();
}

}  // namespace

int main(int argc, char** argv) {
    VerilatedContext context;
    const unsigned long long limit = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
    Vnetlist_bench bench{&context, "bench"};
    unsigned long long cycles = 0;
    for (; cycles < limit && !bench.done; ++cycles) cycle(bench);
    const bool done = bench.done;
    for (int shown = 0; shown < 2; ++shown) cycle(bench);
    std::printf("%s %llu %08x %x\n", done ? "done" : "running", cycles, static_cast<unsigned>(bench.checksum),
                static_cast<unsigned>(bench.leds));
    bench.final();
    return 0;
}
