#include "runtime/os/inotify.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <map>
#include <vector>

namespace moth::os {

struct FileWatcher::State : std::enable_shared_from_this<State> {
  State(const asio::any_io_executor& executor, int fd) : descriptor(executor, fd) {}

  struct Watch {
    int kernel_id = -1;
    std::shared_ptr<Handler> handler;
  };
  asio::posix::stream_descriptor descriptor;
  std::map<WatchId, Watch> watches;
  WatchId next_id = 1;
  bool closed = false;

  void arm();
  void read_events();
  void deliver(const inotify_event& event);
};

void FileWatcher::State::arm() {
  descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& error) {
                          if (error || self->closed) return;
                          self->read_events();
                          if (!self->closed) self->arm();
                        });
}

void FileWatcher::State::read_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  while (!closed) {
    const ssize_t n = ::read(descriptor.native_handle(), buffer, sizeof buffer);
    if (n <= 0) return;
    for (const char* at = buffer; at < buffer + n && !closed;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event.len;
      deliver(event);
    }
  }
}

void FileWatcher::State::deliver(const inotify_event& event) {
  // Handlers may add and remove watches: find who gets it first, keep them alive while they run.
  std::vector<std::pair<WatchId, std::shared_ptr<Handler>>> receivers;
  for (const auto& [id, watch] : watches) {
    if ((event.mask & IN_Q_OVERFLOW) != 0 || watch.kernel_id == event.wd) {
      receivers.emplace_back(id, watch.handler);
    }
  }
  const std::string_view name = event.len > 0 ? std::string_view(event.name) : std::string_view();
  for (const auto& [id, handler] : receivers) {
    if (closed) return;
    if (!watches.contains(id)) continue;
    if ((event.mask & IN_IGNORED) != 0) watches.erase(id);
    (*handler)(event.mask, name);
  }
}

Result<std::unique_ptr<FileWatcher>> FileWatcher::create(asio::any_io_executor executor) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    Error error = Error::from_errno(errno, "inotify");
    if (errno == EMFILE) {
      error.message += " (raise the sysctl fs.inotify.max_user_instances)";
    }
    return fail(std::move(error));
  }
  auto state = std::make_shared<State>(executor, fd);
  state->arm();
  return std::unique_ptr<FileWatcher>(new FileWatcher(std::move(state)));
}

FileWatcher::FileWatcher(std::shared_ptr<State> state) : state_(std::move(state)) {}

FileWatcher::~FileWatcher() {
  state_->closed = true;
  state_->watches.clear();
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

Result<FileWatcher::WatchId> FileWatcher::add(const std::string& path, std::uint32_t mask,
                                              Handler handler) {
  const int kernel_id =
      ::inotify_add_watch(state_->descriptor.native_handle(), path.c_str(), mask | IN_MASK_ADD);
  if (kernel_id < 0) {
    Error error = Error::from_errno(errno, fmt::format("watch {}", path));
    if (errno == ENOSPC) error.message += " (raise the sysctl fs.inotify.max_user_watches)";
    return fail(std::move(error));
  }
  const WatchId id = state_->next_id++;
  state_->watches[id] = {kernel_id, std::make_shared<Handler>(std::move(handler))};
  return id;
}

void FileWatcher::remove(WatchId id) {
  const auto it = state_->watches.find(id);
  if (it == state_->watches.end()) return;
  const int kernel_id = it->second.kernel_id;
  state_->watches.erase(it);
  for (const auto& [other, watch] : state_->watches) {
    if (watch.kernel_id == kernel_id) return;
  }
  ::inotify_rm_watch(state_->descriptor.native_handle(), kernel_id);
}

}  // namespace moth::os
