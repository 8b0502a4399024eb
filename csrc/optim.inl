// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019).
// Every operation is rounded by itself, in this order and without FMA, so the bits are those of the same float32
// expression in NumPy, whatever the instruction set.
void adam_step(float* p, const float* dp, float* m, float* v, size_t n, const Adam& adam) {
    const float shrink = adam.lr * adam.decay;
    for_vectors(n, [=](size_t i, auto lanes) {
        const vf g = lanes.load(dp + i) * adam.clip;
        const vf mean = adam.beta1 * lanes.load(m + i) + adam.one_minus_beta1 * g;
        const vf square = adam.beta2 * lanes.load(v + i) + adam.one_minus_beta2 * g * g;
        vf weight = lanes.load(p + i);
        weight = weight - shrink * weight;
        weight = weight - adam.lr * (mean * adam.c1) / (root(square * adam.c2) + adam.eps);
        lanes.store(m + i, mean);
        lanes.store(v + i, square);
        lanes.store(p + i, weight);
    });
}
