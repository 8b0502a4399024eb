// Activations. NaN goes in and comes out; tanh and sigmoid are within 8 ULP of the truth on every float.

// Horner's rule, highest power first
template <size_t N>
inline vf polynomial(vf x, const float (&terms)[N]) {
    vf y = all(terms[0]);
    for (size_t i = 1; i < N; i++) y = mul_add(y, x, all(terms[i]));
    return y;
}

// e^-a for 0 <= a <= 104, down to the smallest subnormal. -a = k ln 2 + r, |r| <= ln 2 / 2 (Cody & Waite 1980: the first
// part of ln 2 has 9 bits, so k times it is exact); e^r by its Taylor series, remainder 5e-9; 2^k in two halves, so that
// only the last product rounds into the subnormals.
inline vf exp_minus(vf a) {
    const vf round_to_int = all(12582912.0f);  // 1.5 * 2^23: adding it leaves k in the low bits
    const vf shifted = mul_add(a, all(-1.44269504f), round_to_int);
    const vf whole = shifted - round_to_int;
    const vi k = (vi)shifted - (vi)round_to_int;
    const vf r = mul_add(whole, all(2.12194440e-4f), mul_add(whole, all(-0.693359375f), -a));
    const vf p = polynomial(r, {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f});
    const vi half = k >> 1;
    return p * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
}

inline vf clamp_above(vf x, float top) { return x < top ? x : all(top); }  // NaN becomes top

inline vf relu(vf x, vf) { return x <= 0.0f ? vf{} : x; }

inline vf leaky_relu(vf x, vf slope) { return x > 0.0f ? x : slope * x; }

// 1 / (1 + e^-x), with e^-|x| on both sides so that nothing overflows and small results keep their digits
inline vf sigmoid(vf x, vf) {
    const vf e = exp_minus(clamp_above(magnitude(x), 104.0f));
    const vf y = (x < 0.0f ? e : all(1.0f)) / (1.0f + e);
    return x == x ? y : x;
}

// |x| < 0.625: x + x^3 Q(x^2), Q by Chebyshev interpolation of degree 4, error 0.2 * 2^-24; else 1 - 2e / (1 + e), e = e^-2|x|
inline vf tanh(vf x, vf) {
    const vf a = clamp_above(magnitude(x), 20.0f);
    const vf square = a * a;
    const vf q = polynomial(square, {-0.0060911886f, 0.020993378f, -0.053850107f, 0.13332765f, -0.33333328f});
    const vf small = mul_add(a * square, q, a);
    const vf e = exp_minus(2.0f * a);
    const vf large = 1.0f - 2.0f * e / (1.0f + e);
    return x == x ? copy_sign(a < 0.625f ? small : large, x) : x;
}

template <vf (*act)(vf, vf)>
inline void apply(const float* x, float* y, size_t n, float slope) {
    for_vectors(n, [=](size_t i, auto lanes) { lanes.store(y + i, act(lanes.load(x + i), all(slope))); });
}

inline vf identity(vf x, vf) { return x; }

// by ActKind; y may be x
constexpr void (*ACTIVATIONS[ACT_KINDS])(const float* x, float* y, size_t n, float slope) = {
    apply<identity>, apply<relu>, apply<leaky_relu>, apply<tanh>, apply<sigmoid>};

constexpr size_t BLOCK = 1 << 14;  // numbers per part of an elementwise kernel

void activation(const float* x, float* y, size_t n, Act act) {
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) { ACTIVATIONS[act.kind](x + begin, y + begin, end - begin, act.slope); });
}

// dx = dy act'(x) with act' written in y. NaN in y comes out.
inline vf relu_slope(vf y, vf) { return y > 0.0f ? all(1.0f) : y <= 0.0f ? vf{} : y; }
inline vf leaky_relu_slope(vf y, vf slope) { return y > 0.0f ? all(1.0f) : y <= 0.0f ? slope : y; }
inline vf tanh_slope(vf y, vf) { return (1.0f - y) * (1.0f + y); }
inline vf sigmoid_slope(vf y, vf) { return y * (1.0f - y); }

template <vf (*slope_of)(vf, vf)>
inline void apply_backward(const float* dy, const float* y, float* dx, size_t n, float slope) {
    for_vectors(n, [=](size_t i, auto lanes) {
        lanes.store(dx + i, lanes.load(dy + i) * slope_of(lanes.load(y + i), all(slope)));
    });
}

// by ActKind, of which NONE has no backward pass
constexpr void (*SLOPES[ACT_KINDS])(const float* dy, const float* y, float* dx, size_t n, float slope) = {
    nullptr, apply_backward<relu_slope>, apply_backward<leaky_relu_slope>, apply_backward<tanh_slope>,
    apply_backward<sigmoid_slope>};

void activation_backward(const float* dy, const float* y, float* dx, size_t n, Act act) {
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        SLOPES[act.kind](dy + begin, y + begin, dx + begin, end - begin, act.slope);
    });
}

// d act'/dy by ActKind: what the slope does when y moves
inline vf tanh_curve(vf y) { return -2.0f * y; }
inline vf sigmoid_curve(vf y) { return 1.0f - 2.0f * y; }

template <vf (*slope_of)(vf, vf)>
inline void bend_straight(const float* tdy, const float*, const float* y, const float*, float* tdx, size_t n, float slope) {
    apply_backward<slope_of>(tdy, y, tdx, n, slope);
}

template <vf (*slope_of)(vf, vf), vf (*curve_of)(vf)>
inline void bend(const float* tdy, const float* dy, const float* y, const float* ty, float* tdx, size_t n, float slope) {
    for_vectors(n, [=](size_t i, auto lanes) {
        const vf at = lanes.load(y + i), moved = lanes.load(dy + i) * curve_of(at) * lanes.load(ty + i);
        lanes.store(tdx + i, lanes.load(tdy + i) * slope_of(at, all(slope)) + moved);
    });
}

constexpr void (*BENDS[ACT_KINDS])(const float* tdy, const float* dy, const float* y, const float* ty, float* tdx, size_t n,
                                   float slope) = {nullptr, bend_straight<relu_slope>, bend_straight<leaky_relu_slope>,
                                                   bend<tanh_slope, tanh_curve>, bend<sigmoid_slope, sigmoid_curve>};

void activation_backward_tangent(const float* tdy, const float* dy, const float* y, const float* ty, float* tdx, size_t n,
                                 Act act) {
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        BENDS[act.kind](tdy + begin, dy + begin, y + begin, ty + begin, tdx + begin, end - begin, act.slope);
    });
}

// to[i] = of(i, lanes) for all i < n
template <class Of>
inline void map(float* to, size_t n, const Of& of) {
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        for_vectors(end - begin, [=](size_t i, auto lanes) { lanes.store(to + begin + i, of(begin + i, lanes)); });
    });
}

void axpby(float alpha, const float* x, float beta, const float* y, float* to, size_t n) {
    map(to, n, [=](size_t i, auto lanes) { return alpha * lanes.load(x + i) + beta * lanes.load(y + i); });
}

void add_scaled(float alpha, const float* x, float* dp, size_t n) {
    map(dp, n, [=](size_t i, auto lanes) { return lanes.load(dp + i) + alpha * lanes.load(x + i); });
}

void mul(const float* x, const float* y, float* to, size_t n) {
    map(to, n, [=](size_t i, auto lanes) { return lanes.load(x + i) * lanes.load(y + i); });
}

void scale(const float* x, float alpha, float* to, size_t n) {
    map(to, n, [=](size_t i, auto lanes) { return alpha * lanes.load(x + i); });
}

// In double, one by one: few numbers need it, and all floats come out as near as can be
void exp(const float* x, float* to, size_t n) {
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        for (size_t i = begin; i < end; i++) to[i] = (float)__builtin_exp((double)x[i]);
    });
}

void clip(float* p, float limit, size_t n) {
    map(p, n, [=](size_t i, auto lanes) {
        const vf x = lanes.load(p + i);
        return x > limit ? all(limit) : x < -limit ? all(-limit) : x;
    });
}

inline float sum_lanes(vf x) {
    float sum = 0;
    for (int lane = 0; lane < WIDTH; lane++) sum += x[lane];
    return sum;
}

// The sum of of(i, lanes) over i < n; lanes beyond the end must give 0. Four sums side by side per block, blocks in order.
template <class Of>
inline float sum_block(size_t n, const Of& of) {
    vf sums[4] = {};
    size_t i = 0;
    for (; i + 4 * WIDTH <= n; i += 4 * WIDTH)
        for (int k = 0; k < 4; k++) sums[k] += of(i + k * WIDTH, Whole{});
    for_vectors(n - i, [&](size_t j, auto lanes) { sums[0] += of(i + j, lanes); });
    return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class Of>
inline float sum_of(size_t n, const Of& of) {
    if (n <= BLOCK) return sum_block(n, of);
    float* sums = scratch_take((n + BLOCK - 1) / BLOCK);
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        sums[begin / BLOCK] = sum_block(end - begin, [=](size_t i, auto lanes) { return of(begin + i, lanes); });
    });
    float sum = 0;
    for (size_t block = 0; block * BLOCK < n; block++) sum += sums[block];
    return sum;
}

float sum(const float* x, size_t n) {
    return sum_of(n, [=](size_t i, auto lanes) { return lanes.load(x + i); });
}

inline float squares_of_block(const float* x, size_t n) {
    return sum_block(n, [=](size_t i, auto lanes) { return lanes.load(x + i) * lanes.load(x + i); });
}

float sum_squares(const float* x, size_t n) {
    return sum_of(n, [=](size_t i, auto lanes) { return lanes.load(x + i) * lanes.load(x + i); });
}

void row_sum_squares(const float* x, float* to, int rows, size_t row) {
    for_parts(rows, [=](int r) {
        float sum = 0;
        for (size_t i = 0; i < row; i += BLOCK)
            sum += squares_of_block(x + r * row + i, row - i < BLOCK ? row - i : BLOCK);
        to[r] = sum;
    });
}

constexpr Pointwise POINTWISE = {activation, activation_backward, activation_backward_tangent, axpby, add_scaled, mul, scale,
                                 exp, clip, sum, sum_squares, row_sum_squares};
