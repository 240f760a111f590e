#pragma once
// What a program was built from, as /version and `version` tell it. The values of this build come
// from the target moth_build, which only programs link: so a commit rebuilds one small file.
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"

namespace moth {

struct BuildInfo {
  std::string git_commit;                           // "": not built from a checkout
  std::string git_tree_state = "clean";             // or dirty: with changes that are in no commit
  std::string build_date = "1970-01-01T00:00:00Z";  // SOURCE_DATE_EPOCH, else the commit's time
};

// Of this build. Only in programs that link moth_build.
BuildInfo this_build();

// "linux/amd64": the system and architecture that the program was compiled for, in Go's words.
std::string_view compiled_platform();

// The document of /version: major, minor, gitVersion...
Json version_document(std::string_view git_version, const BuildInfo& build);

}  // namespace moth
