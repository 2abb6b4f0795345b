// The kernels of the fusion model, one by one, beside what LibTorch does for the same: small sizes
// (batch 32, 64 positions, 128 dims, 4 heads), forward and backward, one thread.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <polyphony/nn/attention.h>
#include <polyphony/nn/dropout.h>
#include <polyphony/nn/feed_forward.h>
#include <polyphony/nn/norm.h>
#include <polyphony/nn/product.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

constexpr std::int64_t kBatch = 32, kPositions = 64, kDims = 128, kHeads = 4;
constexpr std::int64_t kRows = kBatch * kPositions;

at::Tensor leaf(at::IntArrayRef sizes) {
  tensor::set_threads({1, 1});
  return at::randn(sizes).requires_grad_(true);
}

/// One forward and backward pass an iteration.
template <class Forward>
void both_ways(benchmark::State& state, const Forward& forward) {
  for (auto _ : state) {
    const at::Tensor out = forward();
    out.backward(at::ones_like(out));
  }
}

void dropout_torch(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims});
  both_ways(state, [&] { return at::dropout(x, 0.3, true); });
}
void dropout_ours(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims});
  both_ways(state, [&] { return dropout(x, DropoutMask::draw(0.3)); });
}

void norm_torch(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims}), y = leaf({kRows, kDims});
  const at::Tensor weight = leaf({kDims}), bias = leaf({kDims});
  both_ways(state,
            [&] { return at::layer_norm(x + at::dropout(y, 0.3, true), {kDims}, weight, bias); });
}
void norm_ours(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims}), y = leaf({kRows, kDims});
  const at::Tensor weight = leaf({kDims}), bias = leaf({kDims});
  both_ways(state, [&] { return add_norm(x, y, DropoutMask::draw(0.3), {weight, bias}); });
}

void feed_forward_torch(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims});
  const at::Tensor w1 = leaf({4 * kDims, kDims}), b1 = leaf({4 * kDims});
  const at::Tensor w2 = leaf({kDims, 4 * kDims}), b2 = leaf({kDims});
  both_ways(state, [&] {
    return at::linear(at::dropout(at::relu(at::linear(x, w1, b1)), 0.3, true), w2, b2);
  });
}
void feed_forward_ours(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kDims});
  const FeedForwardWeights weights = {leaf({4 * kDims, kDims}), leaf({4 * kDims}),
                                      leaf({kDims, 4 * kDims}), leaf({kDims})};
  both_ways(state, [&] { return feed_forward(x, weights, DropoutMask::draw(0.3)); });
}

AttentionWeights attention_weights() {
  return {leaf({kDims}), leaf({kDims}), leaf({3 * kDims, kDims}), leaf({3 * kDims})};
}
void attention_all(benchmark::State& state) {
  const at::Tensor query = leaf({kRows, kDims}), key = leaf({kRows, kDims});
  const AttentionWeights weights = attention_weights();
  const Layout layout = pack({}, kBatch, kPositions);
  both_ways(state, [&] {
    const AttentionOptions options = {kHeads, /*is_causal=*/false, DropoutMask::draw(0.3)};
    return attention(query, key, weights, {layout, layout}, options);
  });
}
void attention_first(benchmark::State& state) {
  const at::Tensor query = leaf({kBatch, kDims}), key = leaf({kRows, kDims});
  const AttentionWeights weights = attention_weights();
  const Layout layout = pack({}, kBatch, kPositions);
  both_ways(state, [&] {
    const AttentionOptions options = {kHeads, /*is_causal=*/false, DropoutMask::draw(0.3)};
    return first_attention(query, key, weights, {first_positions(kBatch), layout}, options);
  });
}

void product_openblas(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const at::Tensor a = leaf({kRows, kDims}), b = leaf({4 * kDims, kDims});
  for (auto _ : state) benchmark::DoNotOptimize(at::mm(a, b.t()));
}
void product_onednn(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const at::Tensor a = leaf({kRows, kDims}), b = leaf({4 * kDims, kDims});
  for (auto _ : state) benchmark::DoNotOptimize(multiply(a, b.t(), at::kFloat));
}

BENCHMARK(dropout_torch)->Unit(benchmark::kMicrosecond);
BENCHMARK(dropout_ours)->Unit(benchmark::kMicrosecond);
BENCHMARK(norm_torch)->Unit(benchmark::kMicrosecond);
BENCHMARK(norm_ours)->Unit(benchmark::kMicrosecond);
BENCHMARK(feed_forward_torch)->Unit(benchmark::kMicrosecond);
BENCHMARK(feed_forward_ours)->Unit(benchmark::kMicrosecond);
BENCHMARK(attention_all)->Unit(benchmark::kMicrosecond);
BENCHMARK(attention_first)->Unit(benchmark::kMicrosecond);
BENCHMARK(product_openblas)->Unit(benchmark::kMicrosecond);
BENCHMARK(product_onednn)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace polyphony::nn
