package Idpay::Sim::Request;

# One request as it comes off the wire, parsed incrementally. The bytes are
# kept exactly as they came, up to MAX_KEPT of body; a longer body is counted
# and hashed only.
#
#   my $r = Idpay::Sim::Request->new(connection => $id);
#   $r->feed(\$buffer)     takes what belongs to this request off $buffer;
#                          true when the request is complete
#   $r->head_done          the header section is complete
#   $r->error              framing error, if any (text)
#   $r->method target version path headers body json arg($name) header($name)
#   $r->header($name)      list of values, any case, in wire order
#   $r->args               [[name, value], ...] of the query, decoded
#   $r->record             what GET /requests of the control listener shows

use Mojo::Base -base, -signatures;

use Digest::SHA;
use Mojo::JSON qw(decode_json);
use Mojo::Util qw(b64_encode url_unescape);
use Time::HiRes ();

use constant MAX_HEAD => 1_048_576;
use constant MAX_KEPT => 1_048_576;

has headers => sub { [] };
has time    => sub { Time::HiRes::time() };
has [qw(connection error method target version head_done done)];


sub feed ($self, $buffer) {
    if (!$self->head_done) {
        return 1 if $self->_feed_head($buffer) && $self->error;
        return 0 if !$self->head_done;
    }

    $self->{chunked} ? $self->_feed_chunked($buffer)
                     : $self->_feed_length($buffer);

    return $self->done || $self->error;
}


sub _feed_head ($self, $buffer) {
    my $end = index $$buffer, "\r\n\r\n";

    if ($end < 0) {
        return 0 if length $$buffer <= MAX_HEAD;
        $self->error('head too long');
        return 1;
    }

    my $head = substr $$buffer, 0, $end + 4, '';
    $self->{head} = $head;
    $self->head_done(1);

    my ($line, @lines) = split /\r\n/, $head;

    if (($line // '') !~ m{^(\S+) (\S+) HTTP/(\d\.\d)$}) {
        $self->error('bad request line');
        return 1;
    }
    $self->method($1)->target($2)->version($3);

    for (@lines) {
        if (!/^([^:\s]+):[ \t]*(.*?)[ \t]*$/) {
            $self->error('bad header line');
            return 1;
        }
        push @{ $self->headers }, [ $1, $2 ];
    }

    $self->{body}    = '';
    $self->{raw}     = '';
    $self->{length}  = 0;
    $self->{sha}     = Digest::SHA->new(256);
    $self->{chunked} = grep { lc eq 'chunked' }
        $self->header('Transfer-Encoding');

    my @length = $self->header('Content-Length');
    if (@length > 1 || grep { !/^\d+$/ } @length) {
        $self->error('bad Content-Length');
    } elsif (@length && $self->{chunked}) {
        $self->error('Content-Length beside Transfer-Encoding');
    }
    $self->{rest} = $length[0] // 0;

    return 1;
}


sub _take ($self, $data) {
    $self->{length} += length $data;
    $self->{sha}->add($data);

    if ($self->{length} <= MAX_KEPT) {
        $self->{body} .= $data;
    } else {
        $self->{body} = undef;
        $self->{raw}  = undef;
    }
    return;
}


# Framing bytes of a chunked body are of the request, not of its body.
sub _take_raw ($self, $data) {
    $self->{raw} .= $data if defined $self->{raw};
    return;
}


sub _feed_length ($self, $buffer) {
    if ($self->{rest} > 0 && length $$buffer) {
        my $data = substr $$buffer, 0, $self->{rest}, '';
        $self->{rest} -= length $data;
        $self->_take_raw($data);
        $self->_take($data);
    }
    $self->done(1) if $self->{rest} == 0;
    return;
}


sub _feed_chunked ($self, $buffer) {
    while (length $$buffer) {

        if ($self->{rest} > 0) {
            my $data = substr $$buffer, 0, $self->{rest}, '';
            $self->{rest} -= length $data;
            $self->{crlf} = 1 if $self->{rest} == 0;
            $self->_take_raw($data);
            $self->_take($data);
            next;
        }

        my $end = index $$buffer, "\r\n";
        return if $end < 0;

        my $line = substr $$buffer, 0, $end + 2, '';
        $self->_take_raw($line);

        if (delete $self->{crlf}) {
            return $self->error('bad chunk end') if $line ne "\r\n";
            next;
        }

        if ($self->{trailer}) {
            next if $line ne "\r\n";
            $self->done(1);
            return;
        }

        return $self->error('bad chunk size')
            if $line !~ /^([0-9a-fA-F]{1,8})\s*(?:;.*)?\r\n$/;
        $self->{rest}    = hex $1;
        $self->{trailer} = $self->{rest} == 0;
    }
    return;
}


sub header ($self, $name) {
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->headers };
}


sub path ($self) {
    return $self->target =~ s/\?.*//sr;
}


sub args ($self) {
    my ($query) = $self->target =~ /\?(.*)/s or return [];

    return [
        map {
            my ($name, $value) = split /=/, $_, 2;
            [ map { url_unescape(s/\+/ /gr) } $name, $value // '' ];
        } grep { length } split /&/, $query
    ];
}


sub arg ($self, $name) {
    my @values = map { $_->[1] } grep { $_->[0] eq $name } @{ $self->args };
    return wantarray ? @values : $values[0];
}


sub body ($self) { return $self->{body} // '' }


# The decoded body, or undef where it is no JSON.
sub json ($self) {
    return scalar eval { decode_json($self->body) };
}


sub keep_alive ($self) {
    my $connection = lc join ',', $self->header('Connection');

    return 0 if $self->error || $connection =~ /\bclose\b/;
    return $self->version ne '1.0' || $connection =~ /\bkeep-alive\b/;
}


sub record ($self) {
    my $whole = defined $self->{raw};

    return {
        connection  => $self->connection,
        time        => $self->time,
        method      => $self->method,
        target      => $self->target,
        version     => $self->version,
        headers     => $self->headers,
        complete    => $self->done ? 1 : 0,
        raw         => _b64($self->{head} . ($self->{raw} // '')),
        body        => $whole ? _b64($self->{body}) : undef,
        body_length => $self->{length},
        body_sha256 => $self->{sha}->clone->hexdigest,
    };
}


sub _b64 ($bytes) { return b64_encode($bytes, '') }


1;
