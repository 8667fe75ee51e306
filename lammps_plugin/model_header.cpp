#include "model_header.h"

#include <stdexcept>

#include "json.h"    // nlohmann's, as LAMMPS carries it

namespace rhopot {
namespace {

using LAMMPS_NS::json;

constexpr int FORMAT_VERSION = 1;

[[noreturn]] void refuse(const std::string &name, const std::string &reason)
{
  throw std::runtime_error("model '" + name + "' " + reason);
}

// The value of a field that every model file has.
template <typename T> T field(const json &document, const char *key, const std::string &name)
{
  const auto found = document.find(key);
  if (found == document.end())
    refuse(name, std::string("lacks the field '") + key + "' in its rhopot.json; export it again");
  try {
    return found->get<T>();
  } catch (const json::exception &) {
    refuse(name, std::string("has an unreadable field '") + key + "' in its rhopot.json; export it again");
  }
}

int members(const json &document)
{
  const auto uncertainty = document.find("uncertainty");
  if (uncertainty == document.end() || !uncertainty->is_object()) return 0;
  return uncertainty->value("members", 0);
}

void check_runnable(const ModelHeader &header, const std::string &name)
{
  if (header.kind != "local" && header.kind != "global")
    refuse(name, "is of kind '" + header.kind + "'; pair style rhopot runs models of kind 'local' and 'global'");
  if (header.n_layers > 1)
    refuse(name, "has " + std::to_string(header.n_layers) +
                     " message layers; pair style rhopot runs models with one, use ASE for this one");
  if (!(header.cutoff > 0.0)) refuse(name, "must have a cutoff > 0 in its rhopot.json; export it again");
  if (header.symbols.empty()) refuse(name, "names no chemical element in its rhopot.json; export it again");
}

}    // namespace

ModelHeader parse_header(const std::string &text, const std::string &name)
{
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) refuse(name, "has a damaged rhopot.json; copy or export the file again");
  const int version = field<int>(document, "format_version", name);
  if (version > FORMAT_VERSION)
    refuse(name, "has format version " + std::to_string(version) + ", this rhopot reads up to " +
                     std::to_string(FORMAT_VERSION) + "; update rhopot");

  ModelHeader header;
  header.family = field<std::string>(document, "family", name);
  header.kind = field<std::string>(document, "kind", name);
  header.dtype = field<std::string>(document, "dtype", name);
  header.symbols = field<std::vector<std::string>>(document, "symbols", name);
  header.cutoff = field<double>(document, "cutoff", name);
  header.n_layers = field<int>(document, "n_layers", name);
  header.members = members(document);
  check_runnable(header, name);
  return header;
}

}    // namespace rhopot
