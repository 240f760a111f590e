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

std::size_t tail_offset(std::string_view text, std::int64_t lines) {
  if (lines <= 0) return text.size();
  std::size_t end = text.size();
  if (end > 0 && text[end - 1] == '\n') --end;
  std::int64_t seen = 0;
  std::size_t at = end;
  while (at > 0) {
    std::size_t line_start = text.rfind('\n', at - 1);
    line_start = line_start == std::string_view::npos ? 0 : line_start + 1;
    std::string_view line = text.substr(line_start, at - line_start);
    auto first = line.find(' ');
    auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    bool full =
        second != std::string_view::npos && line.size() > second + 1 && line[second + 1] == 'F';
    if (full && ++seen > lines) return at + 1;
    if (line_start == 0) return 0;
    at = line_start - 1;
  }
  return 0;
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
      MOTH_CO_ASSIGN(bool more,
                     co_await call_on(executors_.blocking(), [&] { return advance(out); }));
      if (!out.empty()) co_return out;
      if (more) continue;
      if (!alive) co_return out;
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
      struct stat info {};
      if (::fstat(files_[i].get(), &info) != 0)
        return fail(Error::from_errno(errno, "stat " + source_.path));
      std::string text(static_cast<std::size_t>(info.st_size), '\0');
      ssize_t got = ::pread(files_[i].get(), text.data(), text.size(), 0);
      text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      std::size_t offset = tail_offset(text, wanted);
      auto lines = std::count(text.begin() + static_cast<std::ptrdiff_t>(offset), text.end(), '\n');
      if (offset > 0 || lines >= wanted) {
        ::lseek(files_[i].get(), static_cast<off_t>(offset), SEEK_SET);
        files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(i));
        return {};
      }
      wanted -= lines;
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

  // The file that is open was moved away and a new one took its place: that is next, after what
  // was still written to the old one.
  bool rotated() {
    auto current = open_file(source_.path);
    struct stat mine {
    }, named{};
    if (!current || ::fstat(files_.front().get(), &mine) != 0 ||
        ::fstat(current->get(), &named) != 0 || mine.st_ino == named.st_ino)
      return false;
    files_.push_back(*std::move(current));
    return true;
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
