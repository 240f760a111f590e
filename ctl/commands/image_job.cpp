#include "ctl/commands/image_job.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <vector>

#include "ctl/cli/terminal.h"

namespace moth::ctl {
namespace {

// "sha256:0123abcd phase done/total"
struct LayerLine {
  std::string digest, phase;
  double done = 0, total = 0;
};

std::optional<LayerLine> parse_layer(const std::string& line) {
  if (!line.starts_with("sha256:")) return std::nullopt;
  auto first = line.find(' '), second = line.rfind(' ');
  auto slash = line.find('/', second == std::string::npos ? 0 : second);
  if (first == std::string::npos || second <= first || slash == std::string::npos)
    return std::nullopt;
  LayerLine layer{line.substr(7, first - 7), line.substr(first + 1, second - first - 1), 0, 0};
  const char* text = line.data();
  std::from_chars(text + second + 1, text + slash, layer.done);
  std::from_chars(text + slash + 1, text + line.size(), layer.total);
  return layer;
}

class ProgressPrinter {
 public:
  explicit ProgressPrinter(Context& context) : context_(context), terminal_(stderr_is_terminal()) {}

  void line(const std::string& text) {
    auto layer = parse_layer(text);
    if (!layer) {
      finish();
      context_.warn("{}", text);
      return;
    }
    std::size_t row = row_of(layer->digest);
    if (!terminal_) {
      // A log wants to know when something changes, not how far it is.
      if (layers_[row].phase != layer->phase)
        context_.warn("{}: {}{}", layer->digest, layer->phase,
                      layer->total > 0 ? " " + size_text(layer->total) : "");
      layers_[row] = *layer;
      return;
    }
    layers_[row] = *layer;
    redraw();
  }

  // What was drawn stays; later lines go below.
  void finish() {
    layers_.clear();
    drawn_ = 0;
  }

 private:
  std::size_t row_of(const std::string& digest) {
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].digest == digest) return i;
    layers_.push_back({digest, "", 0, 0});
    return layers_.size() - 1;
  }

  void redraw() {
    std::string text;
    if (drawn_ > 0) text += fmt::format("\x1b[{}A", drawn_);
    for (const LayerLine& layer : layers_) {
      std::string amount;
      if (layer.phase == "downloading" && layer.total > 0)
        amount = size_text(layer.done) + " / " + size_text(layer.total);
      else if (layer.total > 0)
        amount = size_text(layer.total);
      text += fmt::format("\r\x1b[K{}: {:<11} {}\n", layer.digest, layer.phase, amount);
    }
    drawn_ = layers_.size();
    context_.write_err(text);
  }

  Context& context_;
  bool terminal_;
  std::vector<LayerLine> layers_;
  std::size_t drawn_ = 0;
};

}  // namespace

std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}B", bytes);
  return fmt::format("{:.{}f}{}", bytes, bytes < 10 ? 2 : bytes < 100 ? 1 : 0, kUnits[unit]);
}

Outcome<Json> run_image_job(Context& context, std::string_view action, Json body) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.method = "POST";
  request.path = "/moth/v1/images/" + std::string(action);
  request.content_type = "application/json";
  request.body = body.dump();
  ProgressPrinter progress(context);
  std::optional<Json> result;
  std::optional<Failure> failure;
  MOTH_ASSIGN(StreamEnd end, api->lines(std::move(request), [&](std::string_view line) {
    Json message = Json::parse(line, nullptr, false);
    if (const Json* text = find_member(message, "progress"); text && text->is_string())
      progress.line(text->get<std::string>());
    if (const Json* value = find_member(message, "result")) result = *value;
    if (const Json* status = find_member(message, "error"))
      failure = Failure(Error::from_status(*status), Failure::Origin::kServer);
    return true;
  }));
  (void)end;
  if (failure) return fail(*failure);
  if (!result) {
    return refuse(fmt::format(
        "the daemon ended the {} without a result: was it stopped? Look at its log", action));
  }
  return *std::move(result);
}

}  // namespace moth::ctl
