#pragma once
// A thin wrapper of SQLite: the only files that include it are this one's source. One thread at a
// time. Errors carry the path, SQLite's text and what to do about it.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace moth::store {

class Database;

// A prepared statement. Must go before its database.
class Statement {
 public:
  // Parameters and columns count as in SQLite: parameters from 1, columns from 0. Bound text must
  // stay valid until reset().
  void bind(int index, std::string_view text);
  void bind(int index, std::int64_t number);
  // True when there is a row.
  Result<bool> step();
  // Steps a statement that gives no rows, and resets it.
  Result<> run();
  void reset();
  std::int64_t number(int column) const;
  // Valid until the next step().
  std::string_view text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const Database* database, sqlite3_stmt* statement);
  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  // Creates the file (mode 0600) when it is missing.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }
  // One or more statements without parameters; rows are dropped.
  Result<> exec(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row; 0 when there is none.
  Result<std::int64_t> number(std::string_view sql);
  Result<std::string> text(std::string_view sql);
  // The last error of SQLite as an Error.
  Error error(int code) const;

 private:
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  std::string path_;
  sqlite3* handle_;
};

// That `path` is damaged, as `detail` tells, and what can be done.
Error damaged(const std::string& path, std::string_view detail);

}  // namespace moth::store
