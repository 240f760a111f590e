#pragma once
// What this process's terminal can do. Plain system calls; any thread.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moth::ctl {

struct TerminalSize {
  int width = 80, height = 24;
};

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();
// Of the terminal at stdin or stdout, when there is one.
std::optional<TerminalSize> terminal_size();
// Colours are wanted on `stdout`: a terminal, and neither NO_COLOR nor TERM=dumb.
bool colours_wanted();

enum class Colour { kNone, kBold, kDim, kGreen, kYellow, kRed, kCyan };
// `text` between escape sequences; kNone gives `text`.
std::string coloured(std::string_view text, Colour colour);

// While it lives the terminal passes every key on as it is. Nothing happens when stdin is none.
class RawMode {
 public:
  RawMode();
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

}  // namespace moth::ctl
