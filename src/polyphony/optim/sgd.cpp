#include <polyphony/optim/sgd.h>

#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {

void SgdOptions::describe(config::Fields& f) {
  f("lr", lr, "learning rate");
  f.check("lr", lr >= 0, "at least 0");
  f("momentum", momentum, "share of the last step's direction that is kept");
  f.check("momentum", momentum >= 0, "at least 0");
  f("dampening", dampening, "share of the gradient that does not enter the momentum");
  f("weight_decay", weight_decay, "share of each weight added to its gradient");
  f.check("weight_decay", weight_decay >= 0, "at least 0");
  f("maximize", maximize, "go up the gradient");
  f("nesterov", nesterov, "look ahead along the momentum");
  f.check("nesterov", !nesterov || (momentum > 0 && dampening == 0),
          "false, or with momentum above 0 and dampening 0");
}

Optimizer::Kernel Sgd::kernel(const ParamGroup& group, std::int64_t step,
                              double gradient_scale) const {
  const auto scale = static_cast<float>(options_.maximize ? -gradient_scale : gradient_scale);
  const auto decay = static_cast<float>(group.weight_decay);
  const auto rate = static_cast<float>(group.lr);
  if (options_.momentum == 0) {
    return [=](const Chunk& c) {
      for (std::int64_t i = 0; i < c.size; ++i) {
        c.parameter[i] -= rate * (c.gradient[i] * scale + decay * c.parameter[i]);
      }
    };
  }
  const auto keep = static_cast<float>(options_.momentum);
  const float take = step == 1 ? 1.0F : static_cast<float>(1.0 - options_.dampening);
  const bool nesterov = options_.nesterov;
  return [=](const Chunk& c) {
    for (std::int64_t i = 0; i < c.size; ++i) {
      const float g = c.gradient[i] * scale + decay * c.parameter[i];
      const float m = keep * c.state[0][i] + take * g;
      c.state[0][i] = m;
      c.parameter[i] -= rate * (nesterov ? g + keep * m : m);
    }
  };
}

void Sgd::describe_group(tensor::Value& group) const {
  using tensor::Value;
  group.set("momentum", Value(options_.momentum));
  group.set("dampening", Value(options_.dampening));
  group.set("nesterov", Value(options_.nesterov));
  group.set("maximize", Value(options_.maximize));
  group.set("foreach", Value());
}

POLYPHONY_REGISTER(Optimizer, Sgd, "polyphony.optim.SGD", "torch.optim.SGD")

}  // namespace polyphony::optim
