#pragma once
// subPath: one path inside a volume, pinned by a bind mount of its own, so that nothing that a
// container does to the volume's links afterwards changes what is mounted. Synchronous, root.
#include <string>
#include <string_view>

#include "api/base/result.h"

namespace moth::volumes {

// Invalid for an absolute path and for one with "..", with upstream's texts.
Result<> check_sub_path(std::string_view sub_path);

// Finds `sub_path` below `volume` (made as folders with the mode of the volume's root when it is
// missing) and binds it on `target`, a file or folder that is made with its parents. Links are
// followed as long as they stay inside the volume; one that leads out is an error. A `target` that
// is mounted already is kept.
Result<> bind_sub_path(const std::string& volume, const std::string& sub_path,
                       const std::string& target);

}  // namespace moth::volumes
