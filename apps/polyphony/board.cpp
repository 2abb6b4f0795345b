#include "board.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/board/entry.h>
#include "parts.h"
#include "whole_number.h"

namespace polyphony::app {
namespace {

/// 128 random bits as hex digits.
std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  std::ifstream random("/dev/urandom", std::ios::binary);
  random.read(reinterpret_cast<char*>(bytes.data()), bytes.size());
  if (!random) throw IoError("/dev/urandom: cannot be read", "give a token with --token");
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

void check_token(const std::string& token) {
  for (const char c : token) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    if (!plain) {
      throw UsageError("--token: only letters, digits, - and _",
                       "`openssl rand -hex 16` makes one");
    }
  }
}

void serve(board::ServerOptions options) {
  const char* given = std::getenv("POLYPHONY_BOARD_TOKEN");
  if (options.token.empty() && given != nullptr) options.token = given;
  if (options.token.empty() && options.address != "127.0.0.1" && options.address != "localhost" &&
      options.address != "::1") {
    options.token = random_token();
  }
  check_token(options.token);
  const auto entry = open_part<board::Entry>("libpolyphony_board.so", board::kEntrySymbol);
  entry(options, [](const std::string& url) {
    fmt::print("{}\n", url);
    std::fflush(stdout);
  });
}

}  // namespace

void add_board_command(CLI::App& app) {
  auto options = std::make_shared<board::ServerOptions>();
  CLI::App* command =
      app.add_subcommand("board", "show recorded runs in a browser, live while they go on");
  command
      ->add_option("--store", options->store,
                   "the run store (POLYPHONY_STORE, else logs/polyphony.db)")
      ->check([](const std::string& given) {
        return given.empty() ? std::string("its value is empty") : std::string();
      });
  command
      ->add_option("--address", options->address,
                   "to listen on (127.0.0.1); any other needs the token that is printed")
      ->capture_default_str();
  command->add_option("--port", options->port, "to listen on; 0: any that is free")
      ->transform(whole_number(0, 65535));
  command->add_option("--token", options->token,
                      "what a browser must know (POLYPHONY_BOARD_TOKEN; made where it is needed)");
  command->callback([options] { serve(*options); });
}

}  // namespace polyphony::app
