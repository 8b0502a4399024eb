// Update rules: Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), SGD with momentum (Polyak
// 1964), RMSProp (Tieleman & Hinton 2012). Every operation is rounded by itself, in the oracle's order and without FMA, so
// the bits are those of the same float32 expression in NumPy, whatever the instruction set.

void adam_step(float* p, const float* dp, float* m, float* v, size_t n, const Rates& r, float beta1, float rest1, float beta2,
               float rest2) {
    const float shrink = r.lr * r.decay;
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        for_vectors(end - begin, [=](size_t j, auto lanes) {
            const size_t i = begin + j;
            const vf g = lanes.load(dp + i) * r.clip;
            const vf mean = beta1 * lanes.load(m + i) + rest1 * g;
            const vf square = beta2 * lanes.load(v + i) + rest2 * g * g;
            vf weight = lanes.load(p + i);
            weight = weight - shrink * weight;
            weight = weight - r.lr * (mean * r.c1) / (root(square * r.c2) + r.eps);
            lanes.store(m + i, mean);
            lanes.store(v + i, square);
            lanes.store(p + i, weight);
        });
    });
}

void sgd_step(float* p, const float* dp, float* m, size_t n, const Rates& r, float momentum) {
    const float shrink = r.lr * r.decay;
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        for_vectors(end - begin, [=](size_t j, auto lanes) {
            const size_t i = begin + j;
            const vf mean = momentum * lanes.load(m + i) + lanes.load(dp + i) * r.clip;
            vf weight = lanes.load(p + i);
            weight = weight - shrink * weight;
            weight = weight - r.lr * mean;
            lanes.store(m + i, mean);
            lanes.store(p + i, weight);
        });
    });
}

void rmsprop_step(float* p, const float* dp, float* v, size_t n, const Rates& r, float rho, float rest) {
    const float shrink = r.lr * r.decay;
    for_blocks(n, BLOCK, [=](size_t begin, size_t end) {
        for_vectors(end - begin, [=](size_t j, auto lanes) {
            const size_t i = begin + j;
            const vf g = lanes.load(dp + i) * r.clip;
            const vf square = rho * lanes.load(v + i) + rest * g * g;
            vf weight = lanes.load(p + i);
            weight = weight - shrink * weight;
            weight = weight - r.lr * g / (root(square) + r.eps);
            lanes.store(v + i, square);
            lanes.store(p + i, weight);
        });
    });
}

void mix(float* state, const float* p, float keep, float add, size_t n) {
    map(state, n, [=](size_t i, auto lanes) { return lanes.load(state + i) * keep + add * lanes.load(p + i); });
}

constexpr Optim OPTIM = {adam_step, sgd_step, rmsprop_step, mix};
