// The pool of parallel.h, for lambdas.

template <class Body>
inline void for_parts(int parts, const Body& body) {
    run_parts(parts, [](const void* b, int part) { (*static_cast<const Body*>(b))(part); }, &body);
}

// body(begin, end) over [0, n) in blocks of a fixed size: a sum per block does not depend on the thread count.
template <class Body>
inline void for_blocks(size_t n, size_t block, const Body& body) {
    for_parts((int)((n + block - 1) / block), [&](int part) {
        const size_t begin = part * block, end = begin + block;
        body(begin, end < n ? end : n);
    });
}
