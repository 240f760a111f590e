#include "ctl/cli/fetch.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "api/http/client.h"

namespace moth::ctl {
namespace {

constexpr std::size_t kMaxBody = 64u << 20;

Task<Result<http::Response>> get(http::Client* client, std::string url) {
  http::ClientRequest request;
  request.url = std::move(url);
  request.body_limit = kMaxBody;
  request.max_redirects = 10;
  co_return co_await client->request(std::move(request));
}

std::vector<char*> argument_pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

int wait_for_child(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Outcome<std::string> fetch_url(const std::string& url) {
  asio::io_context io{1};
  std::optional<Result<http::Response>> answer;
  {
    http::Client client(io.get_executor(), io.get_executor());
    asio::co_spawn(io, get(&client, url),
                   [&](std::exception_ptr thrown, Result<http::Response> result) {
                     if (!thrown) answer = std::move(result);
                   });
    while (!answer && io.run_one() > 0) {
    }
  }
  if (!answer) return refuse(fmt::format("unable to read URL \"{}\": interrupted", url));
  if (!*answer)
    return refuse(fmt::format("unable to read URL \"{}\": {}", url, answer->error().message));
  if ((*answer)->status != 200) {
    return refuse(fmt::format("unable to read URL \"{}\", server reported {} {}, status code={}",
                              url, (*answer)->status, http::status_phrase((*answer)->status),
                              (*answer)->status));
  }
  return (*answer)->whole_body();
}

Outcome<std::string> output_of(const std::vector<std::string>& command) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return fail(Failure(Error::from_errno(errno, "pipe")));
  std::vector<std::string> words = command;
  std::vector<char*> arguments = argument_pointers(words);
  pid_t child = ::fork();
  if (child < 0) return fail(Failure(Error::from_errno(errno, "fork")));
  if (child == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    ssize_t count = ::read(pipe[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(pipe[0]);
  if (int code = wait_for_child(child); code != 0)
    return refuse(fmt::format("{} ended with exit code {}", command[0], code));
  return text;
}

int run_program(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments = argument_pointers(words);
  pid_t child = ::fork();
  if (child < 0) return 127;
  if (child == 0) {
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  return wait_for_child(child);
}

bool program_exists(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view left = path ? path : "";
  while (!left.empty()) {
    auto end = std::min(left.find(':'), left.size());
    std::string file = std::string(left.substr(0, end)) + "/" + name;
    if (end > 0 && ::access(file.c_str(), X_OK) == 0) return true;
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return false;
}

Outcome<std::string> kustomize_build(const std::string& folder) {
  if (program_exists("kustomize")) return output_of({"kustomize", "build", folder});
  if (program_exists("kubectl")) return output_of({"kubectl", "kustomize", folder});
  return refuse(
      "moth has no kustomize of its own: put kustomize or kubectl on the PATH and it will be used, "
      "or build the manifests elsewhere and pass them with -f");
}

}  // namespace moth::ctl
