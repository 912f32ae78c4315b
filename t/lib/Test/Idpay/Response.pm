package Test::Idpay::Response;

# An HTTP answer as Test::Idpay::Client read it.
#
#   ->status            number; 0 where nothing or no HTTP came
#   ->header($name)     first value, any case; undef where there is none
#   ->headers($name)    list of values; without a name [[name, value], ...]
#   ->body              without chunked framing
#   ->length            of the body, also where a sink took it
#   ->json              the decoded body; {} where it is no JSON
#   ->raw               head and body as they came (with a sink: the head)
#   ->complete          the body ended as its framing says
#   ->interim           list of the 1xx answers before (Response objects)
#   ->error             what went wrong on the way: closed, timeout, reset, ...
#   ->socket            the connection; closed by the peer or not

use strict;
use warnings;

use Mojo::JSON qw(decode_json);


sub new {
    my ($class, %self) = @_;
    return bless {
        status  => 0,
        headers => [],
        body    => '',
        length  => 0,
        raw     => '',
        interim => [],
        %self
    }, $class;
}


sub status   { $_[0]{status} }
sub body     { $_[0]{body} }
sub length   { $_[0]{length} }
sub raw      { $_[0]{raw} }
sub complete { $_[0]{complete} ? 1 : 0 }
sub error    { $_[0]{error} }
sub socket   { $_[0]{socket} }
sub interim  { @{ $_[0]{interim} } }
sub json     { eval { decode_json($_[0]{body}) } // {} }


sub headers {
    my ($self, $name) = @_;

    return @{ $self->{headers} } if !defined $name;
    return map { $_->[1] }
        grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
}


sub header {
    my ($self, $name) = @_;
    return ($self->headers($name))[0];
}


1;
