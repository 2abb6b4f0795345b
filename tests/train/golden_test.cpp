// Training trajectories of the reference: its model, from fixed weights and batches.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <golden.h>
#include <scratch.h>
#include <torch/nn/module.h>

#include <polyphony/models/multi_modal_transformer.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedules.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr double kRelative = 1e-5;
/// January's cases step at the full rate from the first: AdamW moves a weight whose gradient is
/// near its eps (1e-8) by as much as rounding says, up to the rate itself, and later batches
/// notice.
constexpr double kRelativeJanuary = 1e-4;

struct Case {
  Json facts;
  tensor::TensorMap tensors;

  const at::Tensor& at(const std::string& name) const { return tensors.at(name); }
  bool head() const { return facts.at("version") == "head"; }
};

/// Case TAG. What it does not hold itself is in files of its kind: initial weights in
/// weights_*.safetensors, batches in batches_lastN.safetensors by the rows of the last one.
Case load(const fs::path& path) {
  Case one;
  one.tensors = tensor::load_safetensors(path);
  one.facts = Json::parse(std::ifstream(fs::path(path).replace_extension(".json")));
  const auto add = [&](const std::string& file) {
    const tensor::TensorMap more = tensor::load_safetensors(path.parent_path() / file);
    one.tensors.insert(more.begin(), more.end());
  };
  if (!one.tensors.contains("init.model.fc1.weight")) {
    add("weights_self.safetensors");
    add("weights_cross.safetensors");
  }
  if (!one.tensors.contains("batch1.label")) {
    add("batches_last" + std::to_string(one.facts.at("last_batch").get<int>()) + ".safetensors");
  }
  return one;
}

/// The case's batches, row by row.
class Rows : public data::Dataset {
 public:
  explicit Rows(const Case& one) {
    const std::int64_t batches = one.facts.at("n_batches");
    for (std::int64_t b = 0; b < batches; ++b) {
      const std::string prefix = "batch" + std::to_string(b) + ".";
      for (std::int64_t r = 0; r < one.at(prefix + "label").size(0); ++r) {
        data::Item item;
        for (const char* name :
             {"audio_hidden", "audio_mask", "text_hidden", "text_mask", "label"}) {
          item.set(name, one.at(prefix + name).select(0, r));
        }
        items_.push_back(std::move(item));
      }
    }
  }
  std::int64_t size() const override { return static_cast<std::int64_t>(items_.size()); }
  data::Item get(std::int64_t index) const override {
    return items_[static_cast<std::size_t>(index)];
  }
  data::Batch collate(std::span<const data::Item> items) const override {
    data::Batch batch;
    for (const auto& [name, first] : items.front().entries()) {
      std::vector<at::Tensor> rows;
      for (const data::Item& item : items) rows.push_back(item.at(name));
      batch.set(name, at::stack(rows));
    }
    return batch;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {}; }
  const CsvTable& table() const override { return table_; }

 private:
  std::vector<data::Item> items_;
  std::vector<std::string> classes_;
  CsvTable table_;
};

/// torchmetrics 0.11.4's macro F1 and accuracy of one batch: absent classes count as 0.
std::pair<double, double> batch_metrics(const at::Tensor& logits, const at::Tensor& label) {
  const std::int64_t classes = logits.size(1);
  const at::Tensor pred = logits.argmax(1);
  double f1 = 0;
  double accuracy = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto count = [](const at::Tensor& mask) { return mask.sum().item<double>(); };
    const double both = count((pred == c) & (label == c));
    const double said = count(pred == c);
    const double is = count(label == c);
    if (said + is > 0) f1 += 2 * both / (said + is);
    if (is > 0) accuracy += both / is;
  }
  return {f1 / static_cast<double>(classes), accuracy / static_cast<double>(classes)};
}

/// The reference's module: cross-entropy, and each batch's metrics averaged over rows.
class Reference : public Task {
 public:
  explicit Reference(const Case& one) {
    models::MultiModalTransformerOptions options;
    options.model_dims = one.facts.at("model_dims");
    options.num_heads = one.facts.at("num_heads");
    options.num_layers = one.facts.at("num_layers");
    options.audio_dims = one.facts.at("audio_dims");
    options.text_dims = one.facts.at("text_dims");
    options.attn_mask = one.facts.at("attn_mask");
    options.positions = one.head() ? nn::PositionForm::kRotary : nn::PositionForm::kSinusoidal;
    options.num_labels = static_cast<int>(one.at("logits_init_batch0").size(1));
    options.attn_dropout = options.relu_dropout = options.res_dropout = 0.0;
    options.emb_dropout = options.out_dropout = 0.0;
    model_ = std::make_shared<models::MultiModalTransformer>(options);
    const at::NoGradGuard no_grad;
    for (auto& item : model_->named_parameters()) {
      item.value().copy_(one.at("init.model." + item.key()));
    }
  }
  void setup(const data::Dataset&) override {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    return step(batch, "train_");
  }
  void validation_step(const data::Batch& batch, std::int64_t) override { step(batch, "val_"); }
  at::Tensor predict_step(const data::Batch& batch, std::int64_t) override {
    return logits_of(batch);
  }
  NamedTensors parameters() const override {
    NamedTensors named;
    for (const auto& item : model_->named_parameters()) {
      named.emplace_back("model." + item.key(), item.value());
    }
    return named;
  }
  NamedTensors state() const override { return parameters(); }
  void load_state(const NamedTensors&, const std::string&) override {}
  void set_training(bool on) override { model_->train(on); }
  std::string summary(int) const override { return ""; }

 private:
  at::Tensor logits_of(const data::Batch& batch) {
    return model_->forward(batch.at("audio_hidden"), batch.at("audio_mask"),
                           batch.at("text_hidden"), batch.at("text_mask"));
  }
  at::Tensor step(const data::Batch& batch, const std::string& prefix) {
    const at::Tensor logits = logits_of(batch);
    const at::Tensor loss = at::cross_entropy_loss(logits, batch.at("label"));
    const auto [f1, accuracy] = batch_metrics(logits.detach(), batch.at("label"));
    LogOptions epoch;
    epoch.on_step = false;
    epoch.on_epoch = true;
    log(prefix + "loss", loss.detach(), epoch);
    log(prefix + "MulticlassF1Score", f1, epoch);
    log(prefix + "MulticlassAccuracy", accuracy, epoch);
    return loss;
  }

  std::shared_ptr<models::MultiModalTransformer> model_;
};

/// Compares each step with the case's.
class Steps : public Callback {
 public:
  explicit Steps(const Json& facts) : facts_(facts) {}
  void on_train_batch_start(Trainer& trainer, const data::Batch&, std::int64_t) override {
    EXPECT_NEAR(trainer.optimizer().groups().front().lr, step().at("lr").get<double>(), 1e-12);
  }
  void on_before_backward(Trainer&, const at::Tensor& loss) override {
    const double want = step().at("loss");
    EXPECT_NEAR(loss.item<double>(), want, tolerance() * want) << seen;
  }
  void on_before_optimizer_step(Trainer&, optim::Optimizer& optimizer) override {
    const double want = step().at("grad_norm_hook");
    EXPECT_NEAR(optim::grad_norm(optimizer), want, tolerance() * want) << seen;
  }
  void on_train_batch_end(Trainer& trainer, double, std::int64_t) override {
    EXPECT_NEAR(trainer.optimizer().groups().front().lr, step().at("lr_after").get<double>(),
                1e-12);
    ++seen;
  }
  std::size_t seen = 0;

 private:
  const Json& step() const { return facts_.at("steps").at(seen); }
  double tolerance() const {
    return facts_.at("version") == "jan" && seen > 0 ? kRelativeJanuary : kRelative;
  }
  const Json& facts_;
};

/// The text of Lightning's CSVLogger.
class CsvText : public Logger {
 public:
  explicit CsvText(std::vector<std::map<std::string, double>>& rows,
                   std::vector<std::string>& header)
      : rows_(rows), header_(header) {}
  void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) override {
    MetricValues row = values;
    row.emplace_back("epoch", static_cast<double>(epoch));
    row.emplace_back("step", static_cast<double>(step));
    for (const auto& [name, value] : row) {
      if (std::find(header_.begin(), header_.end(), name) == header_.end()) header_.push_back(name);
    }
    rows_.emplace_back(row.begin(), row.end());
  }

 private:
  std::vector<std::map<std::string, double>>& rows_;
  std::vector<std::string>& header_;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

void expect_logged(const std::string& text, const std::vector<std::string>& header,
                   const std::vector<std::map<std::string, double>>& rows) {
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(cells_of(line), header);
  std::size_t row = 0;
  for (; std::getline(in, line); ++row) {
    ASSERT_LT(row, rows.size());
    const std::vector<std::string> cells = cells_of(line);
    for (std::size_t c = 0; c < cells.size(); ++c) {
      ASSERT_EQ(rows[row].contains(header[c]), !cells[c].empty()) << line << " " << header[c];
      if (cells[c].empty()) continue;
      const double want = std::stod(cells[c]);
      EXPECT_NEAR(rows[row].at(header[c]), want, kRelative * std::abs(want))
          << line << " " << header[c];
    }
  }
  EXPECT_EQ(row, rows.size());
}

/// @return how many of the weights the case holds, and were compared
int expect_weights(const Case& one, const NamedTensors& weights) {
  int compared = 0;
  for (const auto& [name, weight] : weights) {
    const auto found = one.tensors.find("final." + name);
    if (found == one.tensors.end()) continue;
    at::Tensor mine = weight.detach();
    at::Tensor want = found->second;
    if (name.ends_with("in_proj_bias")) {  // the key third has no gradient but rounding
      const std::int64_t third = mine.size(0) / 3;
      mine = at::cat({mine.narrow(0, 0, third), mine.narrow(0, 2 * third, third)});
      want = at::cat({want.narrow(0, 0, third), want.narrow(0, 2 * third, third)});
    }
    const at::Tensor difference = (mine - want).abs();
    if (one.facts.at("version") == "jan") {
      EXPECT_LT(difference.mean().item<double>(), 3e-6) << name;
      EXPECT_LT(difference.max().item<double>(), 1e-3) << name;
    } else {
      EXPECT_LT(difference.max().item<double>(), 3e-5) << name;
    }
    ++compared;
  }
  return compared;
}

Optimization optimization_of(const Case& one) {
  Optimization optimization;
  optim::AdamWOptions adamw;
  std::istringstream words(one.facts.at("optimizer").get<std::string>());
  for (std::string word; words >> word;) {
    if (word == "lr") words >> adamw.lr;
    if (word == "wd") words >> adamw.weight_decay;
  }
  optimization.optimizer = std::make_unique<optim::AdamW>(adamw);
  if (one.facts.at("t_max").is_null()) {
    optim::WarmupCosineOptions cosine;
    cosine.warmup_ratio = one.facts.at("warmup_ratio");
    cosine.eta_min_ratio = one.facts.at("eta_min_ratio");
    optimization.schedule = std::make_unique<optim::WarmupCosine>(cosine);
  } else {
    optim::CosineAnnealingLROptions cosine;
    cosine.interval = optim::Interval::kStep;
    cosine.t_max = one.facts.at("t_max");
    cosine.eta_min = one.facts.at("eta_min");
    optimization.schedule = std::make_unique<optim::CosineAnnealingLR>(cosine);
  }
  return optimization;
}

int expect_trajectory(const Case& one) {
  TrainerOptions options;
  options.max_epochs = one.facts.at("epochs").get<int>();
  options.accumulate_grad_batches = one.facts.at("accumulate");
  options.num_sanity_val_steps = 0;
  if (!one.facts.at("clip").is_null())
    options.gradient_clip_val = one.facts.at("clip").get<double>();
  std::vector<std::map<std::string, double>> rows;
  std::vector<std::string> header;
  TrainerParts parts;
  auto steps = std::make_unique<Steps>(one.facts);
  const Steps& seen = *steps;
  parts.callbacks.push_back(std::move(steps));
  parts.loggers.push_back(std::make_unique<CsvText>(rows, header));
  Trainer trainer(options, scratch_directory(), std::move(parts));
  const Rows dataset(one);
  data::LoaderOptions loading;
  loading.batch_size = one.facts.at("batch");
  loading.workers = 0;
  data::Loader train_loader(dataset, loading);
  data::Loader val_loader(dataset, loading);
  Reference task(one);
  task.optimize_with(optimization_of(one));
  trainer.fit(task, train_loader, &val_loader);
  EXPECT_EQ(seen.seen, one.facts.at("steps").size());
  EXPECT_EQ(trainer.global_step(), one.facts.at("global_step").get<std::int64_t>());
  EXPECT_EQ(trainer.estimated_stepping_batches(),
            one.facts.at("estimated_stepping_batches").get<std::int64_t>());
  EXPECT_NEAR(trainer.optimizer().groups().front().lr, one.facts.at("final_lr").get<double>(),
              1e-12);
  expect_logged(one.facts.at("logged"), header, rows);
  for (const auto& [name, value] : one.facts.at("callback_metrics").items()) {
    const double* mine = find_value(trainer.callback_metrics(), name);
    EXPECT_NE(mine, nullptr) << name;
    if (mine == nullptr) continue;
    EXPECT_NEAR(*mine, value.get<double>(), kRelative * std::abs(value.get<double>())) << name;
  }
  std::size_t place = 0;
  for (const auto& [name, parameter] : task.parameters()) {
    EXPECT_EQ(name, one.facts.at("param_order").at(place++).get<std::string>());
  }
  return expect_weights(one, task.parameters());
}

TEST(Trainer, GoldenTrajectories) {
  const fs::path folder = golden_dir() / "train";
  std::set<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool tensors = entry.path().extension() == ".safetensors";
    if (tensors && fs::exists(fs::path(entry.path()).replace_extension(".json"))) {
      paths.insert(entry.path());
    }
  }
  int weights = 0;
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.stem().string());
    weights += expect_trajectory(load(path));
  }
  std::printf("training trajectories: %zu; final weights compared: %d\n", paths.size(), weights);
  EXPECT_GT(paths.size(), 0U);
}

}  // namespace
}  // namespace polyphony::train
