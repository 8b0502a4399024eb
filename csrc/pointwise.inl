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
void activation(const float* x, float* y, size_t n, float slope) {
    for_vectors(n, [=](size_t i, auto lanes) { lanes.store(y + i, act(lanes.load(x + i), all(slope))); });
}
