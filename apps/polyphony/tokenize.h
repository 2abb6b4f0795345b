#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony tokenize --tokenizer NAME TEXT…`.
void add_tokenize_command(CLI::App& app);

}  // namespace polyphony::app
