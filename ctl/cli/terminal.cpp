#include "ctl/cli/terminal.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

namespace moth::ctl {

bool stdin_is_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}
bool stdout_is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}
bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

std::optional<TerminalSize> terminal_size() {
  for (int descriptor : {STDOUT_FILENO, STDIN_FILENO}) {
    winsize size{};
    if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
      return TerminalSize{size.ws_col, size.ws_row};
  }
  return std::nullopt;
}

bool colours_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color && *no_color) return false;
  const char* term = std::getenv("TERM");
  if (!term || std::string_view(term) == "dumb") return false;
  return stdout_is_terminal();
}

std::string coloured(std::string_view text, Colour colour) {
  const char* start = nullptr;
  switch (colour) {
    case Colour::kBold:
      start = "\x1b[1m";
      break;
    case Colour::kDim:
      start = "\x1b[2m";
      break;
    case Colour::kGreen:
      start = "\x1b[32m";
      break;
    case Colour::kYellow:
      start = "\x1b[33m";
      break;
    case Colour::kRed:
      start = "\x1b[31m";
      break;
    case Colour::kCyan:
      start = "\x1b[36m";
      break;
    case Colour::kNone:
      return std::string(text);
  }
  return start + std::string(text) + "\x1b[0m";
}

struct RawMode::Saved {
  termios settings{};
};

RawMode::RawMode() {
  auto saved = std::make_unique<Saved>();
  if (::tcgetattr(STDIN_FILENO, &saved->settings) != 0) return;
  termios raw = saved->settings;
  ::cfmakeraw(&raw);
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0) saved_ = std::move(saved);
}

RawMode::~RawMode() {
  if (saved_) ::tcsetattr(STDIN_FILENO, TCSANOW, &saved_->settings);
}

}  // namespace moth::ctl
