#include <polyphony/board/entry.h>

#include <csignal>

#include <polyphony/record/store.h>
#include <polyphony/record/store_journal.h>

using polyphony::board::Server;
using polyphony::board::ServerOptions;

// A C name, so that dlsym finds it.
extern "C" __attribute__((visibility("default"))) void polyphony_board_entry(
    const ServerOptions& given, const std::function<void(const std::string& url)>& ready) {
  ServerOptions options = given;
  if (options.store.empty()) options.store = polyphony::record::default_store_path();
  polyphony::record::bring_in_waiting(options.store);
  // Every thread inherits the mask, so that only sigwait takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a browser that goes away is no reason to end
  Server server(options);
  server.start();
  ready(server.url());
  int received = 0;
  sigwait(&signals, &received);
  server.stop();
}
