#pragma once
// The user's editor: $KUBE_EDITOR, $EDITOR or vi.
#include <string>
#include <string_view>

#include "ctl/cli/failure.h"

namespace moth::ctl {

// The variable's value or "vi".
std::string editor_command();
// Runs it on a file and waits for its end.
Outcome<> run_editor(const std::string& path);

// A file of our own that goes when we do, unless it is kept.
class ScratchFile {
 public:
  ScratchFile();
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  void write(std::string_view text) const;
  std::string read() const;
  void keep() { kept_ = true; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool kept_ = false;
};

// What the user made of `text`.
Outcome<std::string> edit_text(std::string_view text);

}  // namespace moth::ctl
