// What the FMA units give at most, to hold kernels against: independent chains in registers, no memory.
constexpr int CHAINS = WIDTH == 16 ? 24 : 12;

void multiply_add_rounds(size_t rounds, float* sink) {
    vf chain[CHAINS];
    for (int i = 0; i < CHAINS; i++) chain[i] = all(1.0f + i);
    const vf factor = all(0.999f + *sink), term = all(0.001f);  // *sink: so that the compiler cannot know the result
    for (size_t r = 0; r < rounds; r++)
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) chain[i] = mul_add(chain[i], factor, term);
    for (int i = 0; i < CHAINS; i++) *sink += chain[i][0];
}

constexpr Peak PEAK = {multiply_add_rounds, 2.0 * CHAINS * WIDTH};
