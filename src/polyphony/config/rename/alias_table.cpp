// The classes of the Python stack, and what each is here. Data only: one line a class.
// To add one: write a line into its package's part. `ours` may name a class that is not built yet;
// the line then answers "has no counterpart yet" until a class registers under that name.
#include <polyphony/config/rename/aliases.h>

namespace polyphony::config {
namespace {

// The longest root of a package comes first: "lightning.pytorch" before "lightning".
constexpr AliasFamily kFamilies[] = {
    {"lightning", "lightning.pytorch"},
    {"lightning", "pytorch_lightning"},
    {"lightning", "lightning"},
    {"lightning", "pl"},
    {"torch", "torch"},
    {"torchmetrics", "torchmetrics"},
    {"transformers", "transformers"},
    {"hydra", "hydra"},
    {"wandb", "wandb"},
    {"original", "src"},  // DimensionSTP/multimodal-transformer; other names below src are a user's
};

constexpr std::string_view kByLoading = "batches and loading threads are the `loading` section";
constexpr std::string_view kByStrategy = "write trainer.strategy instead";
constexpr std::string_view kByTask = "the loss is an option of the task";
constexpr std::string_view kByManifest =
    "polyphony.datasets.SpeechText reads recordings and transcripts by a manifest: docs/data.md";
constexpr std::string_view kByClassification =
    "polyphony.tasks.Classification holds model, loss and metrics";
constexpr std::string_view kHeadless =
    "polyphony.models.SequenceClassifier is the encoder with a head; `polyphony embed` keeps "
    "hidden "
    "states: docs/embeddings.md";

constexpr Alias kAliases[] = {
    // Lightning
    {"lightning", "Trainer", "polyphony.Trainer", ""},
    {"lightning", "callbacks.ModelCheckpoint", "polyphony.callbacks.ModelCheckpoint", ""},
    {"lightning", "callbacks.EarlyStopping", "polyphony.callbacks.EarlyStopping", ""},
    {"lightning", "callbacks.RichModelSummary", "polyphony.callbacks.ModelSummary", ""},
    {"lightning", "callbacks.ModelSummary", "polyphony.callbacks.ModelSummary", ""},
    {"lightning", "callbacks.RichProgressBar", "polyphony.callbacks.ProgressBar", ""},
    {"lightning", "callbacks.TQDMProgressBar", "polyphony.callbacks.ProgressBar", ""},
    {"lightning", "callbacks.LearningRateMonitor", "polyphony.callbacks.LearningRateMonitor", ""},
    {"lightning", "callbacks.DeviceStatsMonitor", "polyphony.callbacks.DeviceStatsMonitor", ""},
    {"lightning", "callbacks.Timer", "polyphony.callbacks.Timer", ""},
    {"lightning", "callbacks.StochasticWeightAveraging",
     "polyphony.callbacks.StochasticWeightAveraging", ""},
    {"lightning", "callbacks.GradientAccumulationScheduler",
     "polyphony.callbacks.GradientAccumulationScheduler", ""},
    {"lightning", "callbacks.LearningRateFinder", "polyphony.callbacks.LearningRateFinder", ""},
    {"lightning", "callbacks.BatchSizeFinder", "polyphony.callbacks.BatchSizeFinder", ""},
    {"lightning", "callbacks.OnExceptionCheckpoint", "polyphony.callbacks.OnExceptionCheckpoint",
     ""},
    {"lightning", "callbacks.BasePredictionWriter", "",
     "`polyphony predict` writes logits and labels"},
    {"lightning", "callbacks.BaseFinetuning", "", "freeze an encoder with the task's options"},
    {"lightning", "callbacks.BackboneFinetuning", "", "freeze an encoder with the task's options"},
    {"lightning", "callbacks.LambdaCallback", "", "write a callback class: docs/extending.md"},
    {"lightning", "callbacks.ModelPruning", "", ""},
    {"lightning", "callbacks.ThroughputMonitor", "", "the progress line shows rows a second"},
    {"lightning", "loggers.WandbLogger", "polyphony.loggers.WandbLogger", ""},
    {"lightning", "loggers.TensorBoardLogger", "polyphony.loggers.TensorBoardLogger", ""},
    {"lightning", "loggers.CSVLogger", "polyphony.loggers.CSVLogger", ""},
    {"lightning", "loggers.MLFlowLogger", "polyphony.loggers.MLFlowLogger", ""},
    {"lightning", "loggers.CometLogger", "", "use the local record: `polyphony runs`"},
    {"lightning", "loggers.NeptuneLogger", "", "use the local record: `polyphony runs`"},
    {"lightning", "strategies.DDPStrategy", "polyphony.strategies.DDPStrategy", kByStrategy},
    {"lightning", "strategies.SingleDeviceStrategy", "polyphony.strategies.SingleDeviceStrategy",
     kByStrategy},
    {"lightning", "strategies.FSDPStrategy", "", kByStrategy},
    {"lightning", "strategies.DeepSpeedStrategy", "", kByStrategy},
    {"lightning", "profilers.SimpleProfiler", "polyphony.profilers.SimpleProfiler", ""},
    {"lightning", "profilers.AdvancedProfiler", "", ""},
    {"lightning", "profilers.PyTorchProfiler", "", ""},
    {"lightning", "LightningModule", "", "a task is one of `polyphony list Task`"},
    {"lightning", "LightningDataModule", "", "rows are one of `polyphony list Dataset`"},
    {"lightning", "seed_everything", "", "write seed=N"},

    // PyTorch: optimizers
    {"torch", "optim.AdamW", "polyphony.optim.AdamW", ""},
    {"torch", "optim.Adam", "polyphony.optim.Adam", ""},
    {"torch", "optim.SGD", "polyphony.optim.SGD", ""},
    {"torch", "optim.RMSprop", "polyphony.optim.RMSprop", ""},
    {"torch", "optim.Adagrad", "polyphony.optim.Adagrad", ""},
    {"torch", "optim.Adadelta", "polyphony.optim.Adadelta", ""},
    {"torch", "optim.Adamax", "polyphony.optim.Adamax", ""},
    {"torch", "optim.NAdam", "polyphony.optim.NAdam", ""},
    {"torch", "optim.RAdam", "polyphony.optim.RAdam", ""},
    {"torch", "optim.LBFGS", "polyphony.optim.LBFGS", ""},
    {"torch", "optim.ASGD", "", "polyphony.optim.AdamW is what the original uses"},
    {"torch", "optim.Rprop", "", "polyphony.optim.AdamW is what the original uses"},
    {"torch", "optim.SparseAdam", "", "polyphony.optim.AdamW is what the original uses"},
    // PyTorch: schedules
    {"torch", "optim.lr_scheduler.ConstantLR", "polyphony.optim.ConstantLR", ""},
    {"torch", "optim.lr_scheduler.LinearLR", "polyphony.optim.LinearLR", ""},
    {"torch", "optim.lr_scheduler.StepLR", "polyphony.optim.StepLR", ""},
    {"torch", "optim.lr_scheduler.MultiStepLR", "polyphony.optim.MultiStepLR", ""},
    {"torch", "optim.lr_scheduler.ExponentialLR", "polyphony.optim.ExponentialLR", ""},
    {"torch", "optim.lr_scheduler.PolynomialLR", "polyphony.optim.PolynomialLR", ""},
    {"torch", "optim.lr_scheduler.CosineAnnealingLR", "polyphony.optim.CosineAnnealingLR", ""},
    {"torch", "optim.lr_scheduler.CosineAnnealingWarmRestarts",
     "polyphony.optim.CosineAnnealingWarmRestarts", ""},
    {"torch", "optim.lr_scheduler.CyclicLR", "polyphony.optim.CyclicLR", ""},
    {"torch", "optim.lr_scheduler.OneCycleLR", "polyphony.optim.OneCycleLR", ""},
    {"torch", "optim.lr_scheduler.ReduceLROnPlateau", "polyphony.optim.ReduceLROnPlateau", ""},
    {"torch", "optim.lr_scheduler.SequentialLR", "polyphony.optim.SequentialLR", ""},
    {"torch", "optim.lr_scheduler.ChainedScheduler", "polyphony.optim.ChainedScheduler", ""},
    {"torch", "optim.lr_scheduler.LambdaLR", "polyphony.optim.LambdaLR",
     "a function cannot stand in YAML; polyphony.optim.WarmupCosine is the usual one"},
    {"torch", "optim.lr_scheduler.MultiplicativeLR", "",
     "a function cannot stand in YAML; polyphony.optim.ExponentialLR has a constant factor"},
    // PyTorch: the rest
    {"torch", "utils.data.DataLoader", "", kByLoading},
    {"torch", "nn.CrossEntropyLoss", "", kByTask},
    {"torch", "nn.BCEWithLogitsLoss", "", kByTask},
    {"torch", "nn.MSELoss", "", kByTask},
    {"torch", "device", "", "write trainer.accelerator"},

    // Transformers
    {"transformers", "TrainingArguments", "polyphony.TrainingArguments", ""},
    {"transformers", "Seq2SeqTrainingArguments", "", "there is no text generation here"},
    {"transformers", "Trainer", "polyphony.Trainer", ""},
    {"transformers", "EarlyStoppingCallback", "", "write polyphony.callbacks.EarlyStopping"},
    {"transformers", "AdamW", "polyphony.optim.AdamWHF", ""},
    {"transformers", "get_constant_schedule", "polyphony.optim.Constant", ""},
    {"transformers", "get_cosine_schedule_with_warmup", "", "write polyphony.optim.WarmupCosine"},
    {"transformers", "get_linear_schedule_with_warmup", "", "write polyphony.optim.LinearWarmup"},
    {"transformers", "AutoTokenizer", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "BertTokenizer", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "BertTokenizerFast", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "RobertaTokenizer", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "RobertaTokenizerFast", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "XLMRobertaTokenizer", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "XLMRobertaTokenizerFast", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "PreTrainedTokenizerFast", "polyphony.text.AutoTokenizer", ""},
    {"transformers", "AutoModel", "", kHeadless},
    {"transformers", "AutoModelForSequenceClassification", "polyphony.models.SequenceClassifier",
     ""},
    {"transformers", "AutoModelForAudioClassification", "polyphony.models.SequenceClassifier", ""},
    {"transformers", "HubertForSequenceClassification", "polyphony.models.SequenceClassifier", ""},
    {"transformers", "Wav2Vec2ForSequenceClassification", "polyphony.models.SequenceClassifier",
     ""},
    {"transformers", "BertForSequenceClassification", "polyphony.models.SequenceClassifier", ""},
    {"transformers", "RobertaForSequenceClassification", "polyphony.models.SequenceClassifier", ""},
    {"transformers", "XLMRobertaForSequenceClassification", "polyphony.models.SequenceClassifier",
     ""},
    {"transformers", "HubertModel", "", kHeadless},
    {"transformers", "RobertaModel", "", kHeadless},
    {"transformers", "Wav2Vec2FeatureExtractor", "", "audio is normalised by the dataset"},

    // TorchMetrics
    {"torchmetrics", "MetricCollection", "polyphony.metrics.MetricCollection", ""},
    {"torchmetrics", "Accuracy", "polyphony.metrics.Accuracy", ""},
    {"torchmetrics", "F1Score", "polyphony.metrics.F1Score", ""},
    {"torchmetrics", "FBetaScore", "polyphony.metrics.FBetaScore", ""},
    {"torchmetrics", "Precision", "polyphony.metrics.Precision", ""},
    {"torchmetrics", "Recall", "polyphony.metrics.Recall", ""},
    {"torchmetrics", "Specificity", "polyphony.metrics.Specificity", ""},
    {"torchmetrics", "ConfusionMatrix", "polyphony.metrics.ConfusionMatrix", ""},
    {"torchmetrics", "AUROC", "polyphony.metrics.AUROC", ""},
    {"torchmetrics", "AveragePrecision", "polyphony.metrics.AveragePrecision", ""},
    {"torchmetrics", "CalibrationError", "polyphony.metrics.CalibrationError", ""},
    {"torchmetrics", "CohenKappa", "polyphony.metrics.CohenKappa", ""},
    {"torchmetrics", "MatthewsCorrCoef", "polyphony.metrics.MatthewsCorrCoef", ""},
    {"torchmetrics", "JaccardIndex", "polyphony.metrics.JaccardIndex", ""},
    {"torchmetrics", "HammingDistance", "polyphony.metrics.HammingDistance", ""},
    {"torchmetrics", "StatScores", "polyphony.metrics.StatScores", ""},
    {"torchmetrics", "ROC", "polyphony.metrics.ROC", ""},
    {"torchmetrics", "PrecisionRecallCurve", "polyphony.metrics.PrecisionRecallCurve", ""},
    {"torchmetrics", "ExactMatch", "polyphony.metrics.ExactMatch", ""},
    {"torchmetrics", "HingeLoss", "polyphony.metrics.HingeLoss", ""},
    {"torchmetrics", "MeanMetric", "polyphony.metrics.MeanMetric", ""},
    {"torchmetrics", "SumMetric", "polyphony.metrics.SumMetric", ""},
    {"torchmetrics", "MinMetric", "polyphony.metrics.MinMetric", ""},
    {"torchmetrics", "MaxMetric", "polyphony.metrics.MaxMetric", ""},
    {"torchmetrics", "CatMetric", "polyphony.metrics.CatMetric", ""},
    {"torchmetrics", "WordErrorRate", "polyphony.metrics.WordErrorRate", ""},
    {"torchmetrics", "CharErrorRate", "polyphony.metrics.CharErrorRate", ""},

    // The original project, today's tree and that of January 2024
    {"original", "datasets.audio_dataset.KEMDy19Dataset", "polyphony.datasets.KEMDy19Audio",
     kByManifest},
    {"original", "datasets.text_dataset.KEMDy19Dataset", "polyphony.datasets.KEMDy19Text",
     kByManifest},
    {"original", "datasets.multimodal_dataset.KEMDy19Dataset", "polyphony.datasets.KEMDy19",
     kByManifest},
    {"original", "dataset_modules.datasets.unimodal_audio_dataset.KEMDy19Dataset",
     "polyphony.datasets.KEMDy19Audio", kByManifest},
    {"original", "dataset_modules.datasets.unimodal_text_dataset.KEMDy19Dataset",
     "polyphony.datasets.KEMDy19Text", kByManifest},
    {"original", "dataset_modules.datasets.multimodal_dataset.KEMDy19Dataset",
     "polyphony.datasets.KEMDy19", kByManifest},
    {"original", "architectures.multimodal_architecture.MultiModalArchitecture",
     "polyphony.tasks.MultiModalArchitecture", kByClassification},
    {"original", "architecture_modules.basic_archimodule.MultiModalPlModule",
     "polyphony.tasks.MultiModalPlModule", kByClassification},
    {"original", "architecture_modules.models.multimodal_transformer.MultiModalTransformer",
     "polyphony.models.MultiModalTransformerJan2024",
     "polyphony.models.FusionClassifier crosses both streams"},
    {"original", "MultiModalTransformer", "polyphony.models.MultiModalTransformer",
     "polyphony.models.FusionClassifier crosses both streams"},
    {"original", "tuners.multimodal_tuner.MultiModalTuner", "polyphony.search.MultiModalTuner",
     "sweep with --multirun"},

    // Hydra's own plugins are settings of the launcher here
    {"hydra", "_internal.core_plugins.basic_launcher.BasicLauncher", "",
     "set hydra.launcher.n_jobs"},
    {"hydra", "_internal.core_plugins.basic_sweeper.BasicSweeper", "", "use --multirun"},
};

}  // namespace

std::span<const Alias> alias_rows() { return kAliases; }
std::span<const AliasFamily> alias_families() { return kFamilies; }

}  // namespace polyphony::config
