#include <polyphony/base/terminal/output.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <iostream>

#include <ext/stdio_sync_filebuf.h>

namespace polyphony {
namespace {

/// Writes all of it, or lets the rest go.
ssize_t write_or_drop(void* cookie, const char* data, std::size_t size) {
  const int descriptor = static_cast<int>(reinterpret_cast<std::intptr_t>(cookie));
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = ::write(descriptor, data + done, size - done);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count < 0 && errno == EAGAIN) {
      pollfd waiting{descriptor, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
      if ((waiting.revents & (POLLERR | POLLNVAL)) != 0) break;
    } else if (count == 0 || errno != EINTR) {
      break;
    }
  }
  return static_cast<ssize_t>(size);
}

/// A stream onto a descriptor that never fails; null where there is no memory for one.
FILE* forgiving(int descriptor, int buffering) {
  cookie_io_functions_t functions{};
  functions.write = write_or_drop;
  FILE* file =
      fopencookie(reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)), "w", functions);
  if (file != nullptr) std::setvbuf(file, nullptr, buffering, BUFSIZ);
  return file;
}

/// Where one of them is closed (`>&-`), the next file that is opened would be it, and get what is
/// printed.
void hold_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    const int null = ::open("/dev/null", O_RDWR);  // the lowest that is free: this one
    if (null >= 0 && null != descriptor) ::close(null);
  }
}

/// One buffer for a C and a C++ stream, or their lines would come out of order.
void share(std::ostream& stream, FILE* file) {
  // It lives as long as the stream does: to the end of the process.
  stream.rdbuf(new __gnu_cxx::stdio_sync_filebuf<char>(file));
}

}  // namespace

void outlive_output() {
  std::fflush(nullptr);
  hold_standard_descriptors();
  // A handler, not SIG_IGN, which the programs that this one starts would inherit.
  std::signal(SIGPIPE, [](int) {});
  if (FILE* out = forgiving(STDOUT_FILENO, _IOLBF)) {
    stdout = out;
    share(std::cout, out);
  }
  if (FILE* err = forgiving(STDERR_FILENO, _IONBF)) {
    stderr = err;
    share(std::cerr, err);
    share(std::clog, err);
  }
}

}  // namespace polyphony
