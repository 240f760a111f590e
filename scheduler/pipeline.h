#pragma once
// The decision: which node a pod goes to. Filters say why a node does not do; their words make the
// "0/1 nodes are available: ..." message. Scorers rank the nodes that do. Pure; control thread.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/snapshot.h"

namespace moth::scheduler {

class Filter {
 public:
  virtual ~Filter() = default;
  virtual std::string_view name() const = 0;
  // Why the node does not do, as messages to be counted; none when it does.
  virtual std::vector<std::string> check(const resources::PodView& pod, const NodeInfo& node,
                                         const Snapshot& snapshot) const = 0;
  // Whether taking pods away from the node can change the answer.
  virtual bool helped_by_preemption() const { return false; }
};

class Scorer {
 public:
  virtual ~Scorer() = default;
  // 0 to 100, more is better.
  virtual double score(const resources::PodView& pod, const NodeInfo& node,
                       const Snapshot& snapshot) const = 0;
};

struct Decision {
  std::string node;     // empty: none
  std::string message;  // why none
  // Nodes on which only filters failed that preemption may help.
  std::vector<std::string> preemptible;
};

class Pipeline {
 public:
  Pipeline(std::vector<std::unique_ptr<Filter>> filters,
           std::vector<std::unique_ptr<Scorer>> scorers);
  Decision decide(const resources::PodView& pod, const Snapshot& snapshot) const;
  // The messages of all filters for one node; none when it does.
  std::vector<std::string> check(const resources::PodView& pod, const NodeInfo& node,
                                 const Snapshot& snapshot) const;

 private:
  std::vector<std::unique_ptr<Filter>> filters_;
  std::vector<std::unique_ptr<Scorer>> scorers_;
};

// "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."
std::string explain(const std::vector<std::vector<std::string>>& reasons_by_node);

// Every built-in filter and scorer, in upstream's order.
Pipeline make_pipeline();

}  // namespace moth::scheduler
