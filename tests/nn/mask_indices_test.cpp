#include <polyphony/nn/mask_indices.h>

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

namespace polyphony::nn {
namespace {

struct Case {
  std::vector<std::int64_t> lengths;
  std::int64_t width;
  MaskSpans spans;
  std::uint32_t seed;
  std::vector<std::string> rows;
};

std::vector<std::string> drawn(const at::Tensor& mask) {
  std::vector<std::string> rows;
  for (std::int64_t i = 0; i < mask.size(0); ++i) {
    std::string row;
    for (std::int64_t j = 0; j < mask.size(1); ++j)
      row += mask.data_ptr<bool>()[i * mask.size(1) + j] ? '#' : '.';
    rows.push_back(row);
  }
  return rows;
}

// Expected masks are those of _compute_mask_indices of Transformers 4.27.1 after
// np.random.seed(seed).
TEST(MaskIndices, AreThoseOfTransformers) {
  const std::vector<Case> cases = {
      {{40, 40},
       40,
       {0.2, 5, 0},
       1,
       {"..............................#########.", "................#####..........#####...."}},
      {{40, 23, 3},
       40,
       {0.3, 6, 2},
       2,
       {"............#######.....................", ".....######......######.................",
        ".......................................#"}},
      {{12, 12, 12}, 12, {0.05, 10, 2}, 3, {"##########..", ".##########.", "..##########"}},
      {{30, 10},
       30,
       {0.65, 3, 1},
       4,
       {"...........#############.###..", "...#######...................."}},
      {{16}, 16, {0.01, 4, 0}, 5, {"................"}}};
  for (const Case& one : cases) {
    NumpyRandom random(one.seed);
    EXPECT_THAT(drawn(mask_indices(one.lengths, one.width, one.spans, random)),
                testing::ElementsAreArray(one.rows))
        << "seed " << one.seed;
  }
}

TEST(MaskIndices, SequenceShorterThanASpanIsNotMasked) {
  NumpyRandom random(1);
  const std::vector<std::int64_t> lengths = {4};
  EXPECT_THAT(drawn(mask_indices(lengths, 4, {0.9, 10, 2}, random)), testing::ElementsAre("...."));
}

}  // namespace
}  // namespace polyphony::nn
