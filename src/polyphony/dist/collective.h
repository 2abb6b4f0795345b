#pragma once

#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/dist/process_group.h>
#include <polyphony/tensor/value.h>

namespace polyphony::dist {

/// What the processes of a run exchange. This one is of a process alone; GroupCollective is of
/// several. All processes call the same methods in the same order, and get the same result.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const { return 0; }
  virtual int world_size() const { return 1; }
  bool is_global_zero() const { return rank() == 0; }

  virtual void barrier() {}
  /// In place.
  virtual void reduce(std::span<double> /*values*/, Reduction) {}
  /// Whether all processes say so, or any of them.
  bool all(bool mine);
  bool any(bool mine);
  /// Rank 0's text, and whether it says so.
  virtual std::string broadcast(std::string text) { return text; }
  bool rank_zero_says(bool mine) { return any(mine && is_global_zero()); }
  /// The signal that ends the run in every process after this step; 0 to go on.
  virtual int agreed_signal(int mine) { return mine; }
  /// Every process's numbers, one process after the other, in rank order.
  virtual std::vector<double> gather_numbers(std::span<const double> mine) {
    return {mine.begin(), mine.end()};
  }
  /// Every process's value: a list in rank order.
  virtual tensor::Value gather(tensor::Value mine);
  /// Rows of all processes in dataset order, each once.
  /// @param rows  [n, ...]; @param index  int64 [n], the dataset's row of each; both undefined
  /// if this process has none
  virtual at::Tensor gather_rows(const at::Tensor& rows, const at::Tensor& index);
  /// This process ends by an error; the others are told why. Nothing is exchanged after it.
  virtual void fail(const std::exception& /*error*/) {}
};

/// Of the processes of a group.
class GroupCollective : public Collective {
 public:
  explicit GroupCollective(std::unique_ptr<ProcessGroup> group);
  ~GroupCollective() override;

  /// Until `fail`.
  ProcessGroup& group() const { return *group_; }

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  void barrier() override { group_->barrier(); }
  void reduce(std::span<double> values, Reduction reduction) override;
  std::string broadcast(std::string text) override { return group_->broadcast(text); }
  int agreed_signal(int mine) override;
  std::vector<double> gather_numbers(std::span<const double> mine) override;
  tensor::Value gather(tensor::Value mine) override;
  at::Tensor gather_rows(const at::Tensor& rows, const at::Tensor& index) override;
  void fail(const std::exception& error) override;

 private:
  std::unique_ptr<ProcessGroup> group_;  ///< null once all have stopped together
  int rank_;
  int world_size_;
  bool stopping_ = false;  ///< all processes know of the signal
};

}  // namespace polyphony::dist
