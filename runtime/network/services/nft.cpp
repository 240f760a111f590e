#include "runtime/network/services/nft.h"

#include <fmt/format.h>
extern "C" {
#include <nftables/libnftables.h>
}

#include <algorithm>
#include <string_view>

#include "api/base/json.h"

namespace moth::network {

namespace {

class KernelNft final : public Nft {
 public:
  KernelNft() = default;
  ~KernelNft() override {
    if (context_) nft_ctx_free(context_);
  }
  KernelNft(const KernelNft&) = delete;
  KernelNft& operator=(const KernelNft&) = delete;

  Result<> run(const std::string& commands) override {
    MOTH_TRY(open());
    int status = nft_run_cmd_from_buffer(context_, commands.c_str());
    std::string error = nft_ctx_get_error_buffer(context_);
    (void)nft_ctx_get_output_buffer(context_);
    release();
    if (status == 0) return {};
    return fail(
        Error::of(Reason::kInternalError, "nftables refused a change: " + first_problem(error)));
  }

  Result<ExistingTable> inspect(const std::string& table) override {
    MOTH_TRY(open());
    ExistingTable existing;
    for (const char* what : {"chains", "sets", "maps"})
      MOTH_TRY(collect(fmt::format("list {} ip", what), table, existing));
    for (auto [set, elements] :
         {std::pair("hairpin", &existing.hairpin), std::pair("outside", &existing.outside)}) {
      if (std::find(existing.sets.begin(), existing.sets.end(), set) == existing.sets.end())
        continue;
      MOTH_ASSIGN(Json items, list(fmt::format("list set ip {} {}", table, set), 0));
      for (const Json& item : items) read_elements(item, *elements);
    }
    return existing;
  }

 private:
  static constexpr std::size_t kMaxErrorText = 500;

  // nft tells the problem, the command and a marker below it, and often repeats all that.
  static std::string first_problem(const std::string& text) {
    std::size_t first = text.find('\n');
    std::size_t second = first == std::string::npos ? first : text.find('\n', first + 1);
    std::string problem = text.substr(0, std::min(second, kMaxErrorText));
    if (first < problem.size()) problem.replace(first, 1, ": ");
    return problem;
  }

  Result<> open() {
    if (context_) return {};
    context_ = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!context_) return fail(Error::internal("libnftables could not be started"));
    nft_ctx_buffer_error(context_);
    nft_ctx_buffer_output(context_);
    return {};
  }

  // A context keeps 1.6 MB of cache, which our own change has made stale (and libnftables 1.0.6
  // crashes on tables that changed behind its back); a new one costs 0.2 ms.
  void release() {
    nft_ctx_free(context_);
    context_ = nullptr;
  }

  Result<> collect(const std::string& command, const std::string& table, ExistingTable& existing) {
    MOTH_ASSIGN(Json items, list(command, NFT_CTX_OUTPUT_TERSE));
    for (const Json& item : items) read_item(item, table, existing);
    return {};
  }

  // An array of objects with the kind as their only member.
  Result<Json> list(const std::string& command, unsigned flags) {
    unsigned before = nft_ctx_output_get_flags(context_);
    nft_ctx_output_set_flags(context_, before | NFT_CTX_OUTPUT_JSON | flags);
    int status = nft_run_cmd_from_buffer(context_, command.c_str());
    std::string output = nft_ctx_get_output_buffer(context_);
    std::string error = nft_ctx_get_error_buffer(context_);
    nft_ctx_output_set_flags(context_, before);
    if (status != 0)
      return fail(Error::of(Reason::kInternalError, "nftables could not be read: " + error));
    Json json = Json::parse(output, nullptr, false);
    const Json* items = find_member(json, "nftables");
    return items && items->is_array() ? *items : Json::array();
  }

  // As they are written in commands: "10.244.0.2 . 10.244.0.2", "203.0.113.9".
  static void read_elements(const Json& item, std::vector<std::string>& elements) {
    const Json* set = find_member(item, "set");
    const Json* list = set ? find_member(*set, "elem") : nullptr;
    if (!list || !list->is_array()) return;
    for (const Json& element : *list) {
      const Json* parts = find_member(element, "concat");
      if (element.is_string()) {
        elements.push_back(element.get<std::string>());
      } else if (parts && parts->is_array()) {
        std::string text;
        for (const Json& part : *parts)
          text += (text.empty() ? "" : " . ") + (part.is_string() ? part.get<std::string>() : "");
        elements.push_back(std::move(text));
      }
    }
  }

  static void read_item(const Json& item, const std::string& table, ExistingTable& existing) {
    for (auto [kind, names] :
         {std::pair("chain", &existing.chains), std::pair("set", &existing.sets),
          std::pair("map", &existing.maps)}) {
      const Json* object = find_member(item, kind);
      if (!object || string_or(*object, "table") != table || string_or(*object, "family") != "ip")
        continue;
      std::string name = string_or(*object, "name");
      if (name.empty() || name.rfind("__", 0) == 0) continue;
      existing.present = true;
      if (name.rfind("layout_", 0) == 0) existing.layout = name;
      names->push_back(std::move(name));
    }
  }

  nft_ctx* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Nft> make_kernel_nft() {
  return std::make_unique<KernelNft>();
}

}  // namespace moth::network
