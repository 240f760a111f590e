#pragma once
// Manifests: objects read from files, directories and stdin (-f, -R).
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

struct Manifest {
  Json object;
  std::string source;  // as named in messages: the file, or STDIN
};

// What could be read, and what is wrong with the rest: one broken file does not hide the others.
struct Manifests {
  std::vector<Manifest> objects;
  std::vector<Failure> failures;
};

// The flags -f, -R, -k.
std::vector<FlagSpec> filename_flags(std::string_view what);

// Files, http and https addresses, directories (with `recursive` also what is below), globs and "-"
// for `in`. Lists are taken apart. Fails when a path does not exist or names nothing to read.
Outcome<Manifests> read_manifests(std::istream& in, const std::vector<std::string>& paths,
                                  bool recursive);
// The same by the flags -f, -R and -k.
Outcome<Manifests> manifests_of(Context& context, const Arguments& arguments);
// The objects of one text.
void read_manifest_text(std::string_view text, const std::string& source, Manifests& into);

}  // namespace moth::ctl
