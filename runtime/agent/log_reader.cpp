#include "runtime/agent/log_reader.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "api/base/notifier.h"
#include "api/machinery/time.h"
#include "runtime/os/fs.h"
#include "runtime/os/unique_fd.h"
#include "runtime/shim/protocol.h"

namespace moth::agent {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kMaxLine = 64 * 1024;
constexpr int kMaxRotated = 100;

}  // namespace

LogFilter::LogFilter(const client::LogOptions& options)
    : options_(options), left_(options.limit_bytes.value_or(INT64_MAX)) {}

void LogFilter::take(std::string_view bytes, std::string& out) {
  rest_.append(bytes);
  std::size_t at = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos && !done_;
       end = rest_.find('\n', at)) {
    take_line(std::string_view(rest_).substr(at, end - at), out);
    at = end + 1;
  }
  rest_.erase(0, at);
  // A line without end is no CRI line.
  if (rest_.size() > kMaxLine) rest_.clear();
}

void LogFilter::take_line(std::string_view line, std::string& out) {
  auto time_end = line.find(' ');
  auto stream_end = time_end == std::string_view::npos ? time_end : line.find(' ', time_end + 1);
  auto tag_end = stream_end == std::string_view::npos ? stream_end : line.find(' ', stream_end + 1);
  if (tag_end == std::string_view::npos) return;
  std::string_view time = line.substr(0, time_end);
  std::string_view stream = line.substr(time_end + 1, stream_end - time_end - 1);
  if (options_.stream == client::LogStream::kStdout && stream != "stdout") return;
  if (options_.stream == client::LogStream::kStderr && stream != "stderr") return;
  bool partial = line.substr(stream_end + 1, tag_end - stream_end - 1).starts_with('P');
  std::string_view text = line.substr(tag_end + 1);
  if (!line_open_) {
    skipping_ = false;
    if (options_.since) {
      auto when = parse_rfc3339(time);
      skipping_ = when && *when < *options_.since;
    }
  }
  bool first = !line_open_;
  line_open_ = partial;
  if (skipping_) return;
  std::string shown;
  if (first && options_.timestamps) {
    shown.append(time);
    shown += ' ';
  }
  shown.append(text);
  if (!partial) shown += '\n';
  if (static_cast<std::int64_t>(shown.size()) >= left_) {
    shown.resize(static_cast<std::size_t>(left_));
    done_ = true;
  }
  left_ -= static_cast<std::int64_t>(shown.size());
  out += shown;
}

namespace {

// Whether a CRI line ends a line of the program (tag F).
bool is_full(std::string_view line) {
  auto first = line.find(' ');
  auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  return second != std::string_view::npos && line.size() > second + 1 && line[second + 1] == 'F';
}

}  // namespace

Result<TailPosition> find_tail(const BlockReader& read, std::uint64_t size, std::int64_t lines) {
  TailPosition found{size, 0};
  if (lines <= 0) return found;
  std::uint64_t at = size;  // everything from here on is known
  std::string carry;        // from `at` on: the rest of a line whose beginning is before it
  bool last_line = true;    // the end of the file may lack its newline
  while (at > 0) {
    auto step = static_cast<std::size_t>(std::min<std::uint64_t>(at, kPiece));
    at -= step;
    MOTH_ASSIGN(std::string text, read(at, step));
    if (text.size() < step) return found;  // it was cut meanwhile
    text += carry;
    std::size_t end = text.size();
    if (last_line && end > 0 && text[end - 1] == '\n') --end;
    last_line = false;
    for (;;) {
      std::size_t newline = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
      if (newline == std::string::npos && at > 0) break;
      std::size_t start = newline == std::string::npos ? 0 : newline + 1;
      if (is_full(std::string_view(text).substr(start, end - start))) {
        if (found.lines == lines) {
          found.offset = std::min<std::uint64_t>(at + end + 1, size);
          return found;
        }
        ++found.lines;
      }
      if (start == 0) {
        found.offset = at;
        return found;
      }
      end = newline;
    }
    carry = text.substr(0, end);
    if (carry.size() > kMaxLine) carry.clear();  // no CRI line
  }
  found.offset = 0;
  return found;
}

namespace {

class FileLogReader final : public client::LogReader {
 public:
  FileLogReader(Executors& executors, os::FileWatcher& watcher, LogSource source,
                client::LogOptions options)
      : executors_(executors),
        watcher_(watcher),
        source_(std::move(source)),
        options_(options),
        filter_(options),
        changed_(std::make_shared<Notifier>(executors.io())) {}

  ~FileLogReader() override {
    for (auto id : watches_) watcher_.remove(id);
  }

  Task<Result<std::string>> read() override {
    if (!opened_) {
      opened_ = true;
      if (options_.follow) watch();
      MOTH_CO_TRY(co_await call_on(executors_.blocking(), [this] { return open(); }));
    }
    for (;;) {
      std::string out;
      if (filter_.done()) co_return out;
      // Asked before reading: what is written before the end is then read for sure.
      bool alive = options_.follow && co_await source_.alive();
      bool ended = false;
      MOTH_CO_ASSIGN(bool more, co_await call_on(executors_.blocking(), [&] {
                       ended = has_ended();
                       return advance(out);
                     }));
      if (!out.empty()) co_return out;
      if (more) continue;
      if (!alive || ended) co_return out;
      co_await changed_->wait();
    }
  }

 private:
  void watch() {
    auto notify = [changed = changed_](std::uint32_t, std::string_view) { changed->notify(); };
    auto folder = source_.path.substr(0, source_.path.rfind('/'));
    for (const std::string& path : {folder, source_.run_dir}) {
      auto id = watcher_.add(path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF, notify);
      if (id) watches_.push_back(*id);
    }
  }

  // The record of the end is what the last event tells of; the pod's worker may take note of it
  // later, without another event.
  bool has_ended() const {
    return ::access((source_.run_dir + "/" MOTH_SHIM_EXIT).c_str(), F_OK) == 0;
  }

  static Result<os::UniqueFd> open_file(const std::string& path) {
    os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return fail(Error::from_errno(errno, "open " + path));
    return fd;
  }

  // Opens every file there is, the oldest first, and goes to the tail if that is asked for.
  Result<> open() {
    for (int i = kMaxRotated; i >= 1; --i) {
      auto fd = open_file(source_.path + "." + std::to_string(i));
      if (fd) files_.push_back(*std::move(fd));
    }
    auto current = open_file(source_.path);
    if (!current && current.error().os_errno != ENOENT) return fail(current.error());
    if (current) files_.push_back(*std::move(current));
    if (options_.tail_lines) MOTH_TRY(seek_tail());
    return {};
  }

  Result<> seek_tail() {
    std::int64_t wanted = *options_.tail_lines;
    for (std::size_t i = files_.size(); i-- > 0;) {
      int fd = files_[i].get();
      struct stat info {};
      if (::fstat(fd, &info) != 0) return fail(Error::from_errno(errno, "stat " + source_.path));
      auto read = [&](std::uint64_t offset, std::size_t size) -> Result<std::string> {
        std::string text(size, '\0');
        ssize_t got = ::pread(fd, text.data(), size, static_cast<off_t>(offset));
        if (got < 0) return fail(Error::from_errno(errno, "read " + source_.path));
        text.resize(static_cast<std::size_t>(got));
        return text;
      };
      MOTH_ASSIGN(TailPosition tail,
                  find_tail(read, static_cast<std::uint64_t>(info.st_size), wanted));
      wanted -= tail.lines;
      if (tail.offset == 0 && wanted > 0) continue;
      ::lseek(fd, static_cast<off_t>(tail.offset), SEEK_SET);
      files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(i));
      return {};
    }
    return {};
  }

  // Reads one piece into `out`. False when there is nothing more at present.
  Result<bool> advance(std::string& out) {
    std::string buffer(kPiece, '\0');
    while (!files_.empty()) {
      ssize_t got = ::read(files_.front().get(), buffer.data(), buffer.size());
      if (got < 0) return fail(Error::from_errno(errno, "read " + source_.path));
      if (got > 0) {
        filter_.take(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)), out);
        return true;
      }
      if (files_.size() > 1) {
        files_.erase(files_.begin());
        continue;
      }
      if (!rotated()) return false;
    }
    auto current = open_file(source_.path);
    if (!current) return false;
    files_.push_back(*std::move(current));
    return true;
  }

  // The file that is open was moved away and others took its place, more than one when much is
  // written: those come next, after what was still written to the old one.
  bool rotated() {
    struct stat mine {};
    if (::fstat(files_.front().get(), &mine) != 0) return false;
    std::vector<os::UniqueFd> newer;
    for (int i = 0; i <= kMaxRotated; ++i) {
      auto fd = open_file(i == 0 ? source_.path : source_.path + "." + std::to_string(i));
      struct stat named {};
      if (!fd || ::fstat(fd->get(), &named) != 0) break;
      if (named.st_ino == mine.st_ino) break;
      newer.push_back(*std::move(fd));
    }
    for (auto it = newer.rbegin(); it != newer.rend(); ++it) files_.push_back(std::move(*it));
    return !newer.empty();
  }

  Executors& executors_;
  os::FileWatcher& watcher_;
  LogSource source_;
  client::LogOptions options_;
  LogFilter filter_;
  std::shared_ptr<Notifier> changed_;
  std::vector<os::FileWatcher::WatchId> watches_;
  std::vector<os::UniqueFd> files_;
  bool opened_ = false;
};

}  // namespace

std::unique_ptr<client::LogReader> make_log_reader(Executors& executors, os::FileWatcher& watcher,
                                                   LogSource source, client::LogOptions options) {
  return std::make_unique<FileLogReader>(executors, watcher, std::move(source), std::move(options));
}

}  // namespace moth::agent
