#include "ctl/objects/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "api/machinery/selectors.h"
#include "ctl/cli/fetch.h"
#include "ctl/printers/output_format.h"

namespace moth::ctl {
namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= text.size();) {
    auto end = std::min(text.find(at, from), text.size());
    if (end > from) parts.emplace_back(text.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

Outcome<std::vector<const ApiResource*>> types_of(Api& api, std::string_view text) {
  MOTH_ASSIGN(const client::RestMapper* mapper, api.mapper());
  std::vector<const ApiResource*> types;
  for (const std::string& word : split(text, ',')) {
    auto category = mapper->find(word) ? std::vector<const ApiResource*>{} : mapper->category(word);
    if (!category.empty()) {
      types.insert(types.end(), category.begin(), category.end());
      continue;
    }
    MOTH_ASSIGN(const ApiResource* resource, api.resource(word));
    types.push_back(resource);
  }
  return types;
}

Outcome<WantedList> parse_slashed(Api& api, const std::vector<std::string>& words) {
  WantedList list;
  std::set<const ApiResource*> types;
  for (const std::string& word : words) {
    auto slash = word.find('/');
    if (slash == std::string::npos) {
      return refuse(
          "there is no need to specify a resource type as a separate argument when passing "
          "arguments in resource/name form (e.g. 'moth get resource/<resource_name>' instead of "
          "'moth get resource resource/<resource_name>'");
    }
    std::string name = word.substr(slash + 1);
    if (name.empty() || slash == 0 || name.find('/') != std::string::npos) {
      return refuse(fmt::format(
          "arguments in resource/name form must have a single resource and name: \"{}\"", word));
    }
    MOTH_ASSIGN(const ApiResource* resource, api.resource(word.substr(0, slash)));
    types.insert(resource);
    list.items.push_back({resource, std::move(name)});
  }
  list.several_types = types.size() > 1;
  return list;
}

// The objects of one Wanted.
Outcome<> fetch(Context& context, Api& api, const Wanted& wanted, const std::string& ns,
                const SelectOptions& options, std::vector<ObjectInfo>& into) {
  const ApiResource& resource = *wanted.resource;
  if (!wanted.name.empty()) {
    ObjectInfo info{&resource, resource.namespaced ? ns : "", wanted.name, Json::object(), ""};
    if (options.fetch) {
      auto object = api.get(resource, ns, wanted.name);
      if (!object) {
        if (object.error().origin != Failure::Origin::kServer) return fail(object.error());
        context.report(object.error());
        return {};
      }
      info.object = *std::move(object);
    }
    into.push_back(std::move(info));
    return {};
  }
  QueryList query;
  if (!options.label_selector.empty()) query.emplace_back("labelSelector", options.label_selector);
  if (!options.field_selector.empty()) query.emplace_back("fieldSelector", options.field_selector);
  auto list = api.list(resource, options.all_namespaces ? "" : ns, std::move(query));
  if (!list) {
    if (list.error().origin != Failure::Origin::kServer) return fail(list.error());
    context.report(list.error());
    return {};
  }
  for (Json& item : (*list)["items"]) {
    const Json& metadata = item["metadata"];
    std::string item_ns = string_or(metadata, "namespace"), name = string_or(metadata, "name");
    into.push_back({&resource, std::move(item_ns), std::move(name), std::move(item), ""});
  }
  return {};
}

}  // namespace

std::string ObjectInfo::label() const {
  return resource->qualified_kind() + "/" + name;
}

Outcome<WantedList> parse_wanted(Api& api, const std::vector<std::string>& words) {
  WantedList list;
  if (words.empty()) return list;
  bool slashed = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word.find('/') != std::string::npos;
  });
  if (slashed) return parse_slashed(api, words);
  MOTH_ASSIGN(auto types, types_of(api, words[0]));
  list.several_types = types.size() > 1;
  for (const ApiResource* type : types) {
    if (words.size() == 1) list.items.push_back({type, ""});
    for (std::size_t i = 1; i < words.size(); ++i) list.items.push_back({type, words[i]});
  }
  return list;
}

Outcome<ObjectInfo> bind_manifest(Context& context, Manifest manifest) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const client::RestMapper* mapper, api->mapper());
  std::string api_version = string_or(manifest.object, "apiVersion");
  std::string kind = string_or(manifest.object, "kind");
  Json& metadata = manifest.object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  ObjectInfo info;
  info.name = string_or(metadata, "name");
  info.ns = string_or(metadata, "namespace");
  info.resource = mapper->find_kind(Gvk::of(api_version, kind));
  if (!info.resource) {
    return refuse(fmt::format(
        "resource mapping not found for name: \"{}\" namespace: \"{}\" from \"{}\": no matches for "
        "kind \"{}\" in version \"{}\"\nensure CRDs are installed first",
        info.name, info.ns, manifest.source, kind, api_version));
  }
  if (info.resource->namespaced) {
    MOTH_ASSIGN(std::string ns, context.ns());
    if (info.ns.empty()) {
      info.ns = ns;
      metadata["namespace"] = ns;
    } else if (context.ns_given() && info.ns != ns) {
      return refuse(
          fmt::format("the namespace from the provided object \"{}\" does not match the namespace "
                      "\"{}\". You must pass '--namespace={}' to perform this operation.",
                      info.ns, ns, info.ns));
    }
  } else {
    info.ns.clear();
  }
  info.object = std::move(manifest.object);
  info.source = std::move(manifest.source);
  return info;
}

namespace {

// A type as the server would name it, for objects that it is not asked about.
const ApiResource* local_resource(const Gvk& gvk) {
  static std::vector<std::unique_ptr<ApiResource>> known;
  for (const auto& resource : known)
    if (resource->gvk() == gvk) return resource.get();
  auto resource = std::make_unique<ApiResource>();
  resource->group = gvk.group;
  resource->version = gvk.version;
  resource->kind = gvk.kind;
  resource->singular = gvk.kind;
  std::transform(resource->singular.begin(), resource->singular.end(), resource->singular.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  resource->plural = resource->singular + (resource->singular.ends_with('s') ? "es" : "s");
  known.push_back(std::move(resource));
  return known.back().get();
}

Outcome<std::vector<ObjectInfo>> select_local(Context& context, const SelectOptions& options) {
  if (!options.words.empty())
    return refuse("cannot specify a resource by name with --local: name files with -f");
  MOTH_ASSIGN(Manifests manifests,
              read_manifests(context.in(), options.filenames, options.recursive));
  for (const Failure& failure : manifests.failures) context.report(failure);
  MOTH_ASSIGN(LabelSelector selector, LabelSelector::parse(options.label_selector));
  std::vector<ObjectInfo> found;
  for (Manifest& manifest : manifests.objects) {
    const Json* labels = find_path(manifest.object, "metadata", "labels");
    if (selector.matches_json(labels ? *labels : Json()))
      found.push_back(bind_local(context, std::move(manifest)));
  }
  return found;
}

}  // namespace

ObjectInfo bind_local(Context& context, Manifest manifest) {
  ObjectInfo info;
  info.resource = local_resource(
      Gvk::of(string_or(manifest.object, "apiVersion"), string_or(manifest.object, "kind")));
  Json& metadata = manifest.object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  info.name = string_or(metadata, "name");
  info.ns = string_or(metadata, "namespace");
  if (info.ns.empty() && context.ns_given()) info.ns = context.arguments().text("namespace");
  info.object = std::move(manifest.object);
  info.source = std::move(manifest.source);
  return info;
}

Outcome<std::vector<ObjectInfo>> written_objects(Context& context, const Arguments& arguments) {
  if (arguments.texts("filename").empty() && !arguments.given("kustomize"))
    return refuse("must specify one of -f and -k");
  MOTH_ASSIGN(Manifests manifests, manifests_of(context, arguments));
  for (const Failure& failure : manifests.failures) context.report(failure);
  std::vector<ObjectInfo> found;
  for (Manifest& manifest : manifests.objects) {
    auto info = bind_manifest(context, std::move(manifest));
    if (info) {
      found.push_back(*std::move(info));
      continue;
    }
    MOTH_TRY(context.carry_on(info.error()));
  }
  return found;
}

Outcome<> keep_selected(std::vector<ObjectInfo>& objects, const std::string& selector) {
  if (selector.empty()) return {};
  MOTH_ASSIGN(LabelSelector parsed, LabelSelector::parse(selector));
  std::erase_if(objects, [&](const ObjectInfo& info) {
    const Json* labels = find_path(info.object, "metadata", "labels");
    return !parsed.matches_json(labels ? *labels : Json());
  });
  return {};
}

FlagSpec local_flag() {
  return {"local", 0, FlagKind::kBool, "",
          "Change what the files say and print it; ask no server."};
}

Outcome<std::vector<ObjectInfo>> select_objects(Context& context, const SelectOptions& options) {
  std::vector<ObjectInfo> found;
  if (options.local) return select_local(context, options);
  if (!options.kustomize.empty() && (!options.filenames.empty() || !options.words.empty()))
    return refuse("-k stands alone: neither -f nor resource arguments go with it");
  if (options.words.empty() && options.filenames.empty() && options.kustomize.empty())
    return refuse(options.nothing_given);
  if (!options.words.empty() && !options.filenames.empty())
    return refuse(
        "when paths, URLs, or stdin is provided as input, you may not specify resource "
        "arguments as well");
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(WantedList wanted, parse_wanted(*api, options.words));
  for (const Wanted& item : wanted.items) {
    bool selected =
        options.all || !options.label_selector.empty() || !options.field_selector.empty();
    if (item.name.empty() && !selected)
      return refuse("resource(s) were provided, but no name was specified");
    if (!item.name.empty() && !options.label_selector.empty())
      return refuse("name cannot be provided when a selector is specified");
    MOTH_TRY(fetch(context, *api, item, ns, options, found));
  }
  Manifests manifests;
  if (!options.kustomize.empty()) {
    MOTH_ASSIGN(std::string text, kustomize_build(options.kustomize));
    read_manifest_text(text, options.kustomize, manifests);
  } else {
    MOTH_ASSIGN(manifests, read_manifests(context.in(), options.filenames, options.recursive));
  }
  for (const Failure& failure : manifests.failures) context.report(failure);
  for (Manifest& manifest : manifests.objects) {
    auto info = bind_manifest(context, std::move(manifest));
    if (!info) {
      context.report(info.error());
      continue;
    }
    if (!options.fetch) {
      found.push_back(*std::move(info));
      continue;
    }
    auto object = api->get(*info->resource, info->ns, info->name);
    if (!object) {
      context.report(object.error());
      continue;
    }
    info->object = *std::move(object);
    found.push_back(*std::move(info));
  }
  return found;
}

SelectOptions select_options(const Arguments& arguments, std::vector<std::string> words,
                             bool with_selectors) {
  SelectOptions options;
  options.words = std::move(words);
  options.filenames = arguments.texts("filename");
  options.recursive = arguments.flag("recursive");
  options.kustomize = arguments.text("kustomize");
  if (with_selectors) {
    options.label_selector = arguments.text("selector");
    options.field_selector = arguments.text("field-selector");
    options.all = arguments.flag("all");
    options.all_namespaces = arguments.flag("all-namespaces");
    if (options.all_namespaces) options.all = true;
  }
  return options;
}

std::vector<FlagSpec> selector_flags() {
  return {{"all", 0, FlagKind::kBool, "", "Every object of the type in the namespace."},
          {"all-namespaces", 'A', FlagKind::kBool, "", "The objects of all namespaces."},
          {"field-selector", 0, FlagKind::kText, "",
           "Filter by fields: metadata.name=web,status.phase!=Running."},
          {"selector", 'l', FlagKind::kText, "",
           "Filter by labels: a=b, a!=b, a in (b,c), a, !a, joined by commas."}};
}

std::vector<FlagSpec> join_flags(std::initializer_list<std::vector<FlagSpec>> lists) {
  std::vector<FlagSpec> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

}  // namespace moth::ctl
