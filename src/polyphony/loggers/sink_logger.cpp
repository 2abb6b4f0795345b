#include <polyphony/loggers/sink_logger.h>

#include <polyphony/loggers/plain_node.h>
#include <polyphony/record/host.h>
#include <polyphony/record/system.h>

namespace polyphony::loggers {

SinkLogger::~SinkLogger() {
  if (own_) own_->finish(record::State::kFinished, "");
}

record::Recorder& SinkLogger::recorder() {
  if (!own_) {
    record::RunInfo run;
    run.host = record::host_name();
    run.pid = record::process_id();
    run.command = record::command_line();
    run.system = record::system_facts();
    std::vector<std::unique_ptr<record::Sink>> sinks;
    sinks.push_back(open(run));
    own_ = std::make_unique<record::Recorder>(std::move(sinks));
  }
  return *own_;
}

void SinkLogger::log_metrics(const train::MetricValues& values, std::int64_t step,
                             std::int64_t epoch) {
  recorder().log({step, epoch, record::now(), values});
}

void SinkLogger::log_hyperparams(const tensor::Value& values) {
  recorder().post(
      [node = plain_node(values)](record::Sink& sink) { sink.log_hyper_parameters(node); });
}

void SinkLogger::save() {
  constexpr double kSeconds = 10;
  if (own_) own_->flush(kSeconds);
}

void SinkLogger::finalize(const std::string& status) {
  if (!own_) return;
  own_->finish(status == "success" ? record::State::kFinished : record::State::kFailed, "");
}

}  // namespace polyphony::loggers
