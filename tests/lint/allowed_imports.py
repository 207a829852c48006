"""A contract of import-linter: modules import only the listed packages and modules."""

from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedImportsContract(Contract):
    """The modules of `package`, but for `except_modules`, import directly only `allowed` packages and modules."""

    package = fields.StringField()
    except_modules = fields.SetField(subfield=fields.StringField(), required=False)
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        exempt, allowed = cast("set[str]", self.except_modules or set()), cast("set[str]", self.allowed)
        refused = {
            (module, imported)
            for module in graph.find_descendants(str(self.package)) - exempt
            for imported in graph.find_modules_directly_imported_by(module)
            if not any(imported == each or imported.startswith(f"{each}.") for each in allowed)
        }
        return ContractCheck(kept=not refused, metadata={"refused": sorted(refused)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module, imported in check.metadata["refused"]:
            output.print_error(f"{module} may not import {imported}")
