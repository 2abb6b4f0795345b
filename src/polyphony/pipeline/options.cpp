#include <polyphony/pipeline/options.h>

namespace polyphony::pipeline {

void RunOptions::describe(config::Fields& f) {
  f("num_threads", num_threads, "threads of LibTorch's kernels; 0: measured at start");
  f.check("num_threads", num_threads >= 0, "at least 0");
  f("callbacks", callbacks, "what watches the run");
  f("logger", logger, "where metrics go beside the run's own record");
  f("recording", recording, "what the run's own record says and holds");
  f("trainer", trainer, "the loops");
  f("embeddings", embeddings, "where hidden states of a dataset's frozen encoders are kept");
  f("resume", resume, "what may have changed where training goes on from a checkpoint");
}

void SplitOptions::describe(config::Fields& f) {
  f("train", train, "rows to train on");
  f("val", val, "rows to validate on after each epoch");
  f("test", test, "rows to test on");
  f("predict", predict, "rows to predict");
}

void LoadingOptions::describe(config::Fields& f) {
  f("batch_size", batch_size, "rows of a training batch");
  f.check("batch_size", batch_size >= 1, "at least 1");
  f("eval_batch_size", eval_batch_size, "rows of a batch outside training");
  f.check("eval_batch_size", eval_batch_size >= 1, "at least 1");
  f("workers", workers, "threads that load rows; 0: the calling thread");
  f.check("workers", workers >= 0, "at least 0");
  f("prefetch", prefetch, "batches prepared ahead");
  f.check("prefetch", prefetch >= 1, "at least 1");
  f("length_buckets", length_buckets,
    "training batches hold rows of similar length, sorted within this many batches; 0: any rows");
  f.check("length_buckets", length_buckets >= 0, "at least 0");
}

void ExperimentOptions::describe(config::Fields& f) {
  f("mode", mode, "what to do");
  f.required("run_name", run_name, "name of the run in the record");
  f("seed", seed, "of initialisation, order and dropout");
  f.check("seed", seed >= 0, "at least 0");
  RunOptions::describe(f);
  f.required("dataset", dataset, "the rows");
  f.required("task", task, "model, loss and metrics");
  f.required("optimizer", optimizer, "how parameters are moved");
  f.required("schedule", schedule, "learning rate over the run");
  f("loading", loading, "batches and loading threads");
  f("split", split, "value of the split column for each stage");
  f("ckpt_path", ckpt_path, "train: resume from it; test and predict: the weights to use");
  f("test_after_train", test_after_train,
    "test and predict with the best checkpoint after training");
}

}  // namespace polyphony::pipeline
