#include "tokenize.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/terminal/table.h>
#include <polyphony/hub/snapshot.h>
#include <polyphony/text/tokenizer.h>
#include "whole_number.h"

namespace polyphony::app {
namespace {

struct TokenizeArguments {
  std::string tokenizer;
  std::vector<std::string> texts;
  std::size_t length = 0;
};

void print_tokens(const text::Encoding& encoding, const text::Tokenizer& tokenizer) {
  Table table({"token", "id", "begin", "end", "type", "attention"});
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const text::Span& span = encoding.offsets[i];
    const bool special = encoding.special_tokens_mask[i] != 0;
    table.add_row({tokenizer.token_of(encoding.ids[i]).value_or("?"),
                   std::to_string(encoding.ids[i]), special ? "" : std::to_string(span.begin),
                   special ? "" : std::to_string(span.end), std::to_string(encoding.type_ids[i]),
                   std::to_string(encoding.attention_mask[i])});
  }
  fmt::print("{}", table.to_text());
  if (encoding.replaced > 0)
    fmt::print("{} places are not UTF-8 and count as U+FFFD\n", encoding.replaced);
}

void tokenize(const TokenizeArguments& arguments) {
  hub::SnapshotOptions wanted;
  wanted.wanted = hub::tokenizer_files();
  const auto tokenizer =
      text::Tokenizer::from_pretrained(hub::snapshot(arguments.tokenizer, wanted));
  const text::EncodeOptions options =
      arguments.length > 0 ? tokenizer.options_of_length(arguments.length) : tokenizer.options();
  for (const std::string& given : arguments.texts)
    print_tokens(tokenizer.encode(given, options), tokenizer);
}

}  // namespace

void add_tokenize_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "print the tokens that texts become");
  auto arguments = std::make_shared<TokenizeArguments>();
  command->add_option("--tokenizer", arguments->tokenizer, "a folder, or a name on the hub")
      ->required();
  command->add_option("--length", arguments->length, "cut and pad to so many tokens")
      ->transform(whole_number(1));
  command->add_option("text", arguments->texts, "texts")->required();
  command->callback([arguments] { tokenize(*arguments); });
}

}  // namespace polyphony::app
