#include "ctl/commands/text_editor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "ctl/cli/fetch.h"

namespace moth::ctl {

std::string editor_command() {
  for (const char* name : {"KUBE_EDITOR", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "vi";
}

Outcome<> run_editor(const std::string& path) {
  // The variable may hold arguments ("code --wait"), so a shell takes it apart; the path is passed
  // as an argument, not as text.
  if (run_program({"/bin/sh", "-c", editor_command() + " \"$1\"", "sh", path}) == 0) return {};
  return refuse(fmt::format("there was a problem with the editor \"{}\"", editor_command()));
}

ScratchFile::ScratchFile() {
  const char* folder = std::getenv("TMPDIR");
  path_ = std::string(folder && *folder ? folder : "/tmp") + "/moth-edit-XXXXXX.yaml";
  int descriptor = ::mkstemps(path_.data(), 5);
  if (descriptor >= 0) ::close(descriptor);
}

ScratchFile::~ScratchFile() {
  if (!kept_) ::unlink(path_.c_str());
}

void ScratchFile::write(std::string_view text) const {
  std::ofstream(path_, std::ios::trunc) << text;
}

std::string ScratchFile::read() const {
  std::ifstream file(path_);
  return {std::istreambuf_iterator<char>(file), {}};
}

Outcome<std::string> edit_text(std::string_view text) {
  ScratchFile file;
  file.write(text);
  MOTH_TRY(run_editor(file.path()));
  return file.read();
}

}  // namespace moth::ctl
