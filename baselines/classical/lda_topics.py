"""Latent Dirichlet allocation: documents as mixtures of topics, topics as distributions over words.

Source      Blei, Ng & Jordan 2003, section 3 (the generative process) and 5 (variational inference, equations 6, 7);
            fitted by variational Bayes on the whole corpus at once (Hoffman, Blei & Bach 2010). Through scikit-learn.
Departures  1. Events are vectors of word counts, one entry per word of the vocabulary; anything else is refused.
            2. Once fitted, topics are the mean of their posterior; `log_prob` bounds the probability of a document's
               words in some order given these topics.
            3. Passes over the corpus replace the budget's iterations.
Shapes      B batch of documents, K topics, V words.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.model import Budget, Count, DataSpec, Model, Positive, Split, register


@register(
    "lda_topics",
    family="classical",
    paper="Blei, Ng & Jordan, JMLR 2003",
    gives=("sample", "encode", "log_prob"),
    events=("vector",),
)
class LDATopics(Model):
    class Config(Model.Config):
        n_topics: Count = 10
        alpha: Positive = 0.1  # concentration of a document's topics
        eta: Positive = 0.01  # concentration of a topic's words
        passes: Count = 30  # over the corpus
        steps: Count = 100  # of variational inference for a document

    config: Config
    log_prob_kind = "elbo"
    topics: Tensor  # (K, V) rows sum to one
    length: Tensor  # () mean number of words of a document

    def build(self, spec: DataSpec) -> None:
        if spec.is_image or spec.domain is not None:
            raise NotApplicable(f"lda_topics takes vectors of word counts; {spec.name} has events {spec.event_shape}")
        self.spec, k, v = spec, self.config.n_topics, spec.n_dims
        self.log_prob_of = "mass of words in order"
        self.register_buffer("topics", torch.full((k, v), 1 / v, dtype=torch.float64))
        self.register_buffer("length", torch.ones((), dtype=torch.float64))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Raises `NotApplicable` where entries are not counts."""
        from sklearn.decomposition import LatentDirichletAllocation

        c, x = self.config, data.events()
        if (x < 0).any() or (x != x.round()).any():
            raise NotApplicable(
                f"lda_topics takes word counts (whole, not negative); {self.spec.name} has other values"
            )
        found = LatentDirichletAllocation(
            c.n_topics,
            doc_topic_prior=c.alpha,
            topic_word_prior=c.eta,
            learning_method="batch",
            max_iter=c.passes,
            random_state=int(torch.randint(2**31, (), generator=rng, device=rng.device)),
        ).fit(x.cpu().numpy())
        topics = torch.from_numpy(found.components_)
        self.topics.copy_(topics / topics.sum(1, keepdim=True))
        self.length.fill_(float(x.sum(1).mean()))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Documents by the generative process: length Poisson, shares Dirichlet, each word from a topic: -> (n, V)."""
        draws = np.random.default_rng(int(torch.randint(2**31, (), generator=rng, device=rng.device)))
        lengths = draws.poisson(float(self.length), n)
        shares = draws.dirichlet(np.full(self.config.n_topics, self.config.alpha), n)  # (n, K)
        words = shares @ self.topics.cpu().numpy()  # (n, V); each word's topic summed out
        counts = draws.multinomial(lengths, words / words.sum(1, keepdims=True)) if n else words
        return torch.from_numpy(counts).float().to(rng.device)

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Variational posterior Dirichlet(gamma) over a document's shares, and E log shares: (B, V) -> (B, K) twice."""
        counts, k = self.counts(x), self.config.n_topics
        gamma = self.config.alpha + counts.sum(1, keepdim=True).expand(-1, k) / k
        for _ in range(self.config.steps):  # equations 6 and 7, with phi eliminated
            weight = torch.exp(expected_log(gamma))
            gamma = self.config.alpha + weight * ((counts / (weight @ self.topics)) @ self.topics.T)
        return gamma, expected_log(gamma)

    def counts(self, x: Tensor) -> Tensor:
        """Word counts in float64. Raises `BadInput` for other values."""
        if (x < 0).any() or (x != x.round()).any():
            raise BadInput("x must hold word counts: whole numbers that are not negative")
        return x.double()

    def encode(self, x: Tensor) -> Tensor:
        """Mean shares of the topics: (B, V) -> (B, K)."""
        gamma, _ = self.infer(x)
        return (gamma / gamma.sum(1, keepdim=True)).float()

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Evidence lower bound on log p(words | topics) in nats: (B, V) -> (B,)."""
        gamma, log_shares = self.infer(x)
        words = (self.counts(x) * torch.log(torch.exp(log_shares) @ self.topics)).sum(1)
        prior = torch.full_like(gamma, self.config.alpha)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Dirichlet(gamma), torch.distributions.Dirichlet(prior)
        )
        return words - kl


def expected_log(gamma: Tensor) -> Tensor:
    """E log theta for theta ~ Dirichlet(gamma): (B, K) -> (B, K)."""
    return torch.digamma(gamma) - torch.digamma(gamma.sum(1, keepdim=True))
