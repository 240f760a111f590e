#pragma once
// hostPath: checks the path against its type, and makes what the type asks for. Synchronous.
#include <string>

#include "api/base/result.h"

namespace moth::volumes {

// `type`: "", DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice.
// Errors have upstream's text: `hostPath type check failed: /x is not a directory`.
Result<> check_host_path(const std::string& path, const std::string& type);

}  // namespace moth::volumes
