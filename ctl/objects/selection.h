#pragma once
// Selection: which objects a command line means, by words (`deploy/web`, `pods a b`, `deploy,svc`,
// `all`), files and selectors.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"
#include "ctl/objects/manifests.h"

namespace moth::ctl {

// One type with one name, or with all its objects when the name is empty.
struct Wanted {
  const ApiResource* resource = nullptr;
  std::string name;
};

struct WantedList {
  std::vector<Wanted> items;
  bool several_types = false;  // asked for, so that names are printed with their type
};

// `deploy`, `deploy,svc`, `all`, `deploy a b`, `deploy/a svc/b`. Errors as kubectl's; no words give
// an empty list.
Outcome<WantedList> parse_wanted(Api& api, const std::vector<std::string>& words);

// An object of the server or of a file.
struct ObjectInfo {
  const ApiResource* resource = nullptr;
  std::string ns, name;
  Json object;
  std::string source;  // of a file, else empty

  // "deployment.apps/web".
  std::string label() const;
  std::string qualified() const { return resource->qualified_plural(); }
  std::string path(std::string_view subresource = "") const {
    return resource->path(ns, name, subresource);
  }
};

// Finds the resource of an object from a file and its namespace (-n, the object's own, the
// context's), which is written into the object.
Outcome<ObjectInfo> bind_manifest(Context& context, Manifest manifest);

// The same without asking the server; the namespace is what -n or the object says.
ObjectInfo bind_local(Context& context, Manifest manifest);

struct SelectOptions {
  std::vector<std::string> words;
  std::vector<std::string> filenames;
  bool recursive = false;
  std::string label_selector, field_selector;
  bool all = false;  // a type without a name means all of its objects
  bool all_namespaces = false;
  std::string kustomize;
  bool local = false;  // only files, and the server is not asked at all
  bool fetch = true;   // false: objects of files stay as written, named ones are empty
  // What to answer when neither words nor files are given.
  std::string nothing_given = "You must provide one or more resources by argument or filename.";
};

// The objects, fetched from the server. What cannot be found is reported to the context and left
// out.
Outcome<std::vector<ObjectInfo>> select_objects(Context& context, const SelectOptions& options);
// From the usual flags of `arguments`; those that a command does not declare are not looked at.
SelectOptions select_options(const Arguments& arguments, std::vector<std::string> words,
                             bool with_selectors);

// The objects of -f and -k as they are written there: for commands that send them. What cannot be
// read is reported. Fails when neither flag is given.
Outcome<std::vector<ObjectInfo>> written_objects(Context& context, const Arguments& arguments);

// Drops the objects whose labels do not match; "" keeps all.
Outcome<> keep_selected(std::vector<ObjectInfo>& objects, const std::string& selector);

// --local.
FlagSpec local_flag();
// -l, --field-selector, --all, -A as flags.
std::vector<FlagSpec> selector_flags();
// Joins lists of flags.
std::vector<FlagSpec> join_flags(std::initializer_list<std::vector<FlagSpec>> lists);

}  // namespace moth::ctl
