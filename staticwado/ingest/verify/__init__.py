"""Looking at a whole archive: is everything there, whole, and what its instances say? (docs/verify.md)

One rule: nothing is changed, and nothing is written; a folder that can only be read will do.
"""

from staticwado.ingest.verify.findings import Compared as Compared
from staticwado.ingest.verify.findings import Fault as Fault
from staticwado.ingest.verify.findings import Findings as Findings
from staticwado.ingest.verify.findings import Kind as Kind
from staticwado.ingest.verify.findings import Match as Match
from staticwado.ingest.verify.findings import Matter as Matter
from staticwado.ingest.verify.findings import Note as Note
from staticwado.ingest.verify.findings import Verified as Verified
from staticwado.ingest.verify.run import VerifyOptions as VerifyOptions
from staticwado.ingest.verify.run import verify as verify
