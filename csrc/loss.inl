// Losses: the mean over all elements, and its gradient in one pass. Logits x, a target t.

// log(1 + e) for 0 <= e <= 1: u = 1 + e, and log(u) e / (u - 1) makes good for the digits that u lost (Kahan). log(u) for
// 1 <= u <= 2 by atanh's series: log(u) = 2 atanh(s), s = (u - 1) / (u + 1) <= 1/3, of which u > sqrt(2) is halved first.
inline vf log1p_small(vf e) {
    const vf u = 1.0f + e;
    const auto large = u > 1.41421356f;
    const vf v = large ? u * 0.5f : u;
    const vf s = (v - 1.0f) / (v + 1.0f), square = s * s;
    const vf series = polynomial(square, {2.0f / 11, 2.0f / 9, 2.0f / 7, 2.0f / 5, 2.0f / 3});
    const vf log = mul_add(s * square, series, 2.0f * s) + (large ? all(0.693147181f) : vf{});
    const vf lost = u - 1.0f;
    return lost > 0.0f ? log * (e / lost) : e;
}

// max(x, 0) + log1p(e^-|x|)
inline vf softplus(vf x) {
    const vf tail = log1p_small(exp_minus(clamp_above(magnitude(x), 104.0f)));
    return x != x ? x : (x < 0.0f ? vf{} : x) + tail;
}

struct Term2 {
    vf loss, dx;
};

inline Term2 bce(vf x, vf t) {
    const vf zero = vf{};
    return {(1.0f - t) * softplus(x) + t * softplus(-x), (1.0f - t) * sigmoid(x, zero) - t * sigmoid(-x, zero)};
}
inline Term2 squared(vf x, vf t) { return {(x - t) * (x - t), 2.0f * (x - t)}; }
inline Term2 hinge(vf x, vf t) {
    const vf met = t * x;
    return {met >= 1.0f ? vf{} : 1.0f - met, met >= 1.0f ? vf{} : (x != x ? x : -t)};
}
inline Term2 linear_loss(vf x, vf t) { return {t * x, t + 0.0f * x}; }
inline Term2 minimax(vf x, vf) { return {-softplus(x), -sigmoid(x, vf{})}; }
inline Term2 absolute(vf x, vf t) {
    const vf d = x - t;
    return {magnitude(d), d > 0.0f ? all(1.0f) : d < 0.0f ? all(-1.0f) : d};
}

// The mean of term's losses over n elements, dx = the derivatives / n. Lanes beyond the end count as 0.
template <Term2 (*term)(vf, vf), class Target>
inline float mean_loss(const float* x, float* dx, size_t n, const Target& target) {
    const float count = (float)n;
    const auto at = [=](size_t i, auto lanes) {
        const Term2 t = term(lanes.load(x + i), target(i, lanes));
        lanes.store(dx + i, t.dx / count);
        return only(lanes, t.loss);
    };
    return sum_of(n, at) / count;
}

template <Term2 (*term)(vf, vf)>
float logit_loss(const float* x, float target, float* dx, size_t n) {
    return mean_loss<term>(x, dx, n, [=](size_t, auto) { return all(target); });
}

template <Term2 (*term)(vf, vf)>
float pair_loss(const float* x, const float* target, float* dx, size_t n) {
    return mean_loss<term>(x, dx, n, [=](size_t i, auto lanes) { return lanes.load(target + i); });
}

// In double: N K numbers are few, and e^(x - max) then has no rounding worth a thought
float softmax_cross_entropy(const float* x, const int* labels, float* dx, int N, int K) {
    double loss = 0;
    for (int n = 0; n < N; n++, x += K, dx += K) {
        float top = x[0];
        for (int k = 1; k < K; k++) top = x[k] > top || x[k] != x[k] ? x[k] : top;
        double total = 0;
        for (int k = 0; k < K; k++) total += __builtin_exp((double)x[k] - top);
        loss += __builtin_log(total) - ((double)x[labels[n]] - top);
        for (int k = 0; k < K; k++)
            dx[k] = (float)((__builtin_exp((double)x[k] - top) / total - (k == labels[n])) / N);
    }
    return (float)(loss / N);
}

// mean_n 1/2 sum_f (mean^2 + e^logvar - 1 - logvar)
float kl_gauss(const float* mean, const float* logvar, float* dmean, float* dlogvar, int N, int F) {
    double loss = 0;
    for (size_t i = 0; i < (size_t)N * F; i++) {
        const double beyond = __builtin_expm1((double)logvar[i]);
        loss += 0.5 * ((double)mean[i] * mean[i] + beyond - logvar[i]);
        dmean[i] = mean[i] / (float)N;
        dlogvar[i] = (float)(0.5 * beyond / N);
    }
    return (float)(loss / N);
}

// By sample: its norm r, in double; a norm of 0 has no direction, so its gradient is 0
float norm_loss(const float* x, float* dx, float* mean_norm, int rows, size_t row, NormKind kind) {
    float* squares = scratch_take(rows);
    row_sum_squares(x, squares, rows, row);
    double loss = 0, norms = 0;
    for (int n = 0; n < rows; n++) {
        const double square = squares[n], norm = __builtin_sqrt(square);
        loss += kind == ONE ? (norm - 1) * (norm - 1) : square / 2;
        norms += norm;
    }
    for_parts(rows, [=](int n) {
        const double norm = __builtin_sqrt((double)squares[n]);
        const float factor = (float)((kind == ZERO ? 1 : norm == 0 ? 0 : 2 - 2 / norm) / rows);
        for_vectors(row, [=](size_t i, auto lanes) { lanes.store(dx + n * row + i, factor * lanes.load(x + n * row + i)); });
    });
    *mean_norm = (float)(norms / rows);
    return (float)(loss / rows);
}

constexpr Loss LOSS = {{logit_loss<bce>, logit_loss<squared>, logit_loss<hinge>, logit_loss<linear_loss>, logit_loss<minimax>},
                       softmax_cross_entropy,
                       pair_loss<absolute>,
                       pair_loss<squared>,
                       kl_gauss,
                       norm_loss};
