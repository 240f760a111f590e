#include "ctl/cli/keyboard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace moth::ctl {
namespace {
constexpr std::size_t kMaxWaiting = 256 * 1024;
}

struct Keyboard::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  std::size_t in_flight = 0;  // read here and not yet sent
  int wake = -1;
  asio::any_io_executor executor;
  std::shared_ptr<client::ExecInput> input;  // touched on the executor

  bool wait_for_room() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return stopped || in_flight < kMaxWaiting; });
    return !stopped;
  }

  // False when the session is over.
  bool wait_for_bytes() const {
    std::array<pollfd, 2> wanted{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
    while (::poll(wanted.data(), wanted.size(), -1) < 0) {
      if (errno != EINTR) return false;
    }
    return (wanted[1].revents & POLLIN) == 0;
  }
};

Keyboard::Keyboard(asio::any_io_executor executor, std::shared_ptr<client::ExecInput> input)
    : state_(std::make_shared<State>()) {
  state_->executor = std::move(executor);
  state_->input = std::move(input);
  state_->wake = ::eventfd(0, EFD_CLOEXEC);
  std::thread([state = state_] {
    std::array<char, 32 * 1024> buffer{};
    while (state->wait_for_room() && state->wait_for_bytes()) {
      ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      std::lock_guard lock(state->mutex);
      if (state->stopped) return;
      if (count <= 0) {
        asio::post(state->executor, [state] { state->input->finish(); });
        return;
      }
      state->in_flight += static_cast<std::size_t>(count);
      asio::post(state->executor,
                 [state, bytes = std::string(buffer.data(), static_cast<std::size_t>(count))] {
                   state->input->push(bytes);
                 });
    }
  }).detach();
}

Keyboard::~Keyboard() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopped = true;
  }
  state_->changed.notify_all();
  std::uint64_t one = 1;
  (void)!::write(state_->wake, &one, sizeof one);
}

void Keyboard::drained() {
  {
    std::lock_guard lock(state_->mutex);
    state_->in_flight = state_->input->waiting();
  }
  state_->changed.notify_all();
}

}  // namespace moth::ctl
